import { type EchoRequest, EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { Listener_State } from "@weft/xds-api/weft/registry/v1/registry";
import { afterEach, describe, expect, test } from "vitest";
import { Channel } from "../channel/channel.ts";
import { createClient } from "../channel/client.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { insecure, type PlainChannelCredentials } from "../identity/credentials.ts";
import type { IdentitySource, TlsMaterial } from "../identity/material.ts";
import { staticIdentity } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import { createServer } from "../server/server.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { lds, processAt, startControlPlane, type TestControlPlane } from "../xds/testing/control-plane.ts";
import { any, downstreamTls, route, routeConfiguration, serverListener } from "../xds/testing/resources.ts";
import { type MeshListener, meshOf, openMeshListener } from "./mesh-listener.ts";

const open: (() => Promise<unknown>)[] = [];
const warnings: string[] = [];
const warned = (warning: Error) => warnings.push(warning.message);
process.on("warning", warned);
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
  warnings.length = 0;
});

async function plane(): Promise<TestControlPlane> {
  const started = await startControlPlane();
  open.push(() => started.stop());
  return started;
}

interface Options {
  readonly isRegistering?: boolean;
  readonly provider?: IdentitySource;
  readonly signal?: AbortSignal;
  readonly portName?: string;
}

/** A server in the mesh of `control`; `listening` resolves when it listens. */
function meshServer(control: TestControlPlane, options: Options = {}) {
  const controlPlane: ControlPlane = processAt(control, {
    isRegistering: options.isRegistering ?? false,
    providers: options.provider === undefined ? {} : { default: options.provider },
  });
  open.push(() => controlPlane.close());
  const mesh = meshOf(controlPlane);
  let listener: MeshListener | undefined;
  const server = createServer({
    portName: options.portName ?? "grpc",
    drainGraceMs: 200,
    listening: async (bound, closed) => {
      listener = await openMeshListener(mesh, bound, { fallback: insecure, signal: options.signal ?? closed });
      return listener;
    },
  });
  server.add(EchoTestServiceDefinition, {
    echo: async ({ message }: EchoRequest, context: ServerContext) => ({
      message: `${message} ${context.peer.identity?.uri ?? "anonymous"}`,
    }),
    forwardEcho: async () => ({ output: [] }),
  });
  open.push(() => server.close(0));
  return { server, listening: server.listen("127.0.0.1:0"), mesh, listener: () => listener! };
}

/** The listener that a server of `control` asks for, whatever its port. */
async function askedListener(control: TestControlPlane): Promise<{ name: string; port: number }> {
  await control.until(() => control.asked(lds).some((name) => name.startsWith("inbound/")));
  const name = control.asked(lds).findLast((one) => one.startsWith("inbound/"))!;
  return { name, port: Number(name.split(":")[1]) };
}

/** One call over a connection of its own. */
async function call(address: string, credentials: PlainChannelCredentials = insecure): Promise<string> {
  const channel = new Channel(address, { credentials }, new SubchannelPool());
  try {
    const client = createClient(EchoTestServiceDefinition, channel);
    return (await client.echo({ message: "hi" }, { timeoutMs: 3_000 })).message;
  } finally {
    await channel.close();
  }
}

const attempt = (address: string, credentials?: PlainChannelCredentials) =>
  call(address, credentials).catch((error: { code: string }) => error.code);

describe("a server in the mesh", () => {
  test("listens once its listener says how", async () => {
    const control = await plane();
    const { listening } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port })));
    const { address } = await listening;
    expect(await call(address)).toBe("hi anonymous");
  });

  test("asks by the template with the address as bound", async () => {
    const control = await plane();
    const { listening } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port })));
    expect((await listening).address).toBe(name.slice("inbound/".length));
  });

  test("refuses connections where its listener is deleted, says why, and takes them again when it is back", async () => {
    const control = await plane();
    const { listening, listener } = meshServer(control);
    const { name, port } = await askedListener(control);
    const resource = any.listener(serverListener(name, { port }));
    control.set(resource);
    const { address } = await listening;
    control.delete(lds, name);
    await expect.poll(() => listener().mode).toMatchObject({ kind: "refuse", reason: expect.stringContaining(name) });
    expect(await attempt(address)).toBe("UNAVAILABLE");
    await expect.poll(() => warnings.join()).toContain("refuses connections");
    control.set(resource);
    await expect.poll(() => attempt(address)).toBe("hi anonymous");
  });

  test("listens, refusing, where its listener is invalid, and says so to the control plane", async () => {
    const control = await plane();
    const { listening, listener } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port, chain: { filters: [] } })));
    await listening;
    expect(listener().mode).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining("exactly one network filter"),
    });
    await control.until(() => control.refusals.length > 0);
    expect(control.refusals[0]).toContain("exactly one network filter");
  });

  test("refuses where the listener is for another address", async () => {
    const control = await plane();
    const { listening, listener } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { host: "0.0.0.0", port })));
    await listening;
    expect(listener().mode).toMatchObject({ kind: "refuse", reason: expect.stringContaining("0.0.0.0") });
  });

  test("refuses where its routes would send calls elsewhere", async () => {
    const control = await plane();
    const { listening, listener } = meshServer(control);
    const { name, port } = await askedListener(control);
    const value = routeConfiguration("inbound", [route("elsewhere")]);
    const manager = { routeSpecifier: { $case: "routeConfig", value } } as const;
    control.set(any.listener(serverListener(name, { port, manager })));
    await listening;
    expect(listener().mode).toMatchObject({ kind: "refuse", reason: expect.stringContaining("non_forwarding_action") });
  });

  test("gives up when told to, and its port is free again", async () => {
    const control = await plane();
    const stop = new AbortController();
    const { listening } = meshServer(control, { signal: stop.signal });
    const { port } = await askedListener(control);
    stop.abort(new Error("enough"));
    await expect(listening).rejects.toThrow("enough");
    const other = createServer();
    await other.listen(`127.0.0.1:${port}`);
    await other.close();
  });

  test("keeps its connections when its listener changes where it doesn't look", async () => {
    const control = await plane();
    const { listening } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port })));
    const { address } = await listening;
    const channel = new Channel(address, {}, new SubchannelPool());
    open.push(() => channel.close());
    const client = createClient(EchoTestServiceDefinition, channel);
    await client.echo({ message: "hi" });
    control.set(any.listener(serverListener(name, { port, listener: { statPrefix: "other", trafficDirection: 1 } })));
    await control.until(() => control.acknowledged(lds));
    expect(channel.connectivityState()).toBe("READY");
    await client.echo({ message: "hi" });
  });
});

describe("a server's security", () => {
  const workload = (name: string) => `spiffe://cluster.local/ns/echo/sa/${name}`;

  async function identities() {
    const authority = await createTestAuthority();
    const server = await authority.issue({ uris: [workload("server")] });
    const client = staticIdentity(await authority.issue({ uris: [workload("client")] }));
    const credentials: PlainChannelCredentials = {
      kind: "tls",
      tls: {
        identity: client,
        trust: client,
        verify: { kind: "spiffe", allowed: { kind: "ids", ids: [workload("server")] } },
      },
    };
    return { authority, server, credentials };
  }

  test("turns on and off while it listens", async () => {
    const { server, credentials } = await identities();
    const control = await plane();
    const { listening } = meshServer(control, { provider: staticIdentity(server) });
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port })));
    const { address } = await listening;
    expect(await attempt(address)).toBe("hi anonymous");
    control.set(any.listener(serverListener(name, { port, transportSocket: downstreamTls() })));
    await expect.poll(() => attempt(address, credentials)).toBe(`hi ${workload("client")}`);
    expect(await attempt(address)).toBe("UNAVAILABLE");
    control.set(any.listener(serverListener(name, { port })));
    await expect.poll(() => attempt(address)).toBe("hi anonymous");
  });

  test("drains plaintext connections when it turns on", async () => {
    const { server } = await identities();
    const control = await plane();
    const { listening } = meshServer(control, { provider: staticIdentity(server) });
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port })));
    const { address } = await listening;
    const channel = new Channel(address, {}, new SubchannelPool());
    open.push(() => channel.close());
    const client = createClient(EchoTestServiceDefinition, channel);
    await client.echo({ message: "hi" });
    control.set(any.listener(serverListener(name, { port, transportSocket: downstreamTls() })));
    await expect.poll(() => channel.connectivityState()).not.toBe("READY");
    await expect(client.echo({ message: "hi" }, { timeoutMs: 3_000 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("lets in nobody before there is a certificate", async () => {
    const { server, credentials } = await identities();
    let current: TlsMaterial | undefined;
    const watchers = new Set<() => void>();
    const provider: IdentitySource = {
      ...staticIdentity(server),
      current: () => current,
      watch(changed) {
        watchers.add(changed);
        return () => watchers.delete(changed);
      },
    };
    const control = await plane();
    const { listening, listener } = meshServer(control, { provider });
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port, transportSocket: downstreamTls() })));
    const { address } = await listening;
    expect(listener().mode).toMatchObject({ kind: "refuse", reason: expect.stringContaining("no certificate") });
    current = server;
    for (const changed of watchers) changed();
    expect(await attempt(address, credentials)).toBe(`hi ${workload("client")}`);
  });

  test("refuses a client of another trust domain, though the roots vouch for it", async () => {
    const { authority, server, credentials } = await identities();
    const control = await plane();
    const { listening } = meshServer(control, { provider: staticIdentity(server) });
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port, transportSocket: downstreamTls() })));
    const { address } = await listening;
    const stranger = staticIdentity(await authority.issue({ uris: ["spiffe://elsewhere/ns/echo/sa/client"] }));
    if (credentials.kind !== "tls") throw new Error("unreachable");
    expect(await attempt(address, { kind: "tls", tls: { ...credentials.tls, identity: stranger } })).toBe(
      "UNAVAILABLE",
    );
  });

  test("is refused as a whole where it names a certificate that nobody provides", async () => {
    const control = await plane();
    const { listening, listener } = meshServer(control);
    const { name, port } = await askedListener(control);
    control.set(any.listener(serverListener(name, { port, transportSocket: downstreamTls() })));
    await listening;
    expect(listener().mode).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining('"default" is not in the bootstrap'),
    });
  });
});

describe("a registration", () => {
  /** A control plane that knows the listeners of what registered. */
  async function registry() {
    const control = await plane();
    const states: string[][] = [];
    control.onExports = (listeners) => {
      states.push(listeners.map(({ state }) => ["", "STARTING", "SERVING", "NOT_SERVING"][state]!));
      for (const { boundAddress } of listeners) {
        const port = Number(boundAddress.split(":").at(-1));
        control.set(any.listener(serverListener(`inbound/${boundAddress}`, { port })));
      }
    };
    return { control, states };
  }

  test("goes from STARTING over its listener to SERVING", async () => {
    const { control, states } = await registry();
    const { listening, listener } = meshServer(control, { isRegistering: true });
    const { address, port } = await listening;
    await listener().published(1_000);
    expect(states).toEqual([["STARTING"], ["SERVING"]]);
    expect(control.registered[0]).toMatchObject({
      $case: "hello",
      value: { nodeId: "test-node", labels: { app: "test" } },
    });
    expect(control.registered.at(-1)).toMatchObject({
      value: { listeners: [{ boundAddress: address, port, portName: "grpc", interfaces: ["proto.EchoTestService"] }] },
    });
  });

  test("that is refused fails listening, with the reason", async () => {
    const { control } = await registry();
    control.refusedPorts.set("grpc", { code: "WEFT0202", reason: "no such port" });
    const { listening } = meshServer(control, { isRegistering: true });
    await expect(listening).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      details: expect.stringMatching(/no such port.*WEFT0202/),
    });
  });

  test("waits for a port that another instance has, says so, and listens once it is free", async () => {
    const { control } = await registry();
    control.refusedPorts.set("grpc", { code: "WEFT0203", reason: "another instance has this port" });
    const { listening } = meshServer(control, { isRegistering: true });
    await expect.poll(() => warnings.join()).toContain("another instance has this port (WEFT0203)");
    control.refusedPorts.clear();
    control.reconsider();
    const { address } = await listening;
    expect(await call(address)).toBe("hi anonymous");
  });

  test("of a server that is closed leaves before the last connection is told goodbye", async () => {
    const { control } = await registry();
    const { listening, server } = meshServer(control, { isRegistering: true });
    const { address } = await listening;
    control.holdsSafeToStop = true;
    const closing = server.close();
    await control.until(() => control.registered.at(-1)?.$case === "drain");
    // Clients that don't know yet are served.
    expect(await call(address)).toBe("hi anonymous");
    control.holdsSafeToStop = false;
    control.sayItIsSafeToStop();
    await closing;
    expect(await attempt(address)).toBe("UNAVAILABLE");
  });

  test("of a server that is closed before it listens is given up", async () => {
    const control = await plane();
    const { listening, server } = meshServer(control);
    const { port } = await askedListener(control);
    await Promise.all([expect(listening).rejects.toThrow("the server is closed"), server.close()]);
    const other = createServer();
    await other.listen(`127.0.0.1:${port}`);
    await other.close();
  });

  test("is said again, whole, after the control plane was away", async () => {
    const { control, states } = await registry();
    const { listening, listener } = meshServer(control, { isRegistering: true });
    await listening;
    await listener().published(1_000);
    await control.stop();
    states.length = 0;
    await control.start();
    await control.until(() => states.length > 0);
    expect(states).toEqual([["SERVING"]]);
  });

  test("turns NOT_SERVING while connections are refused", async () => {
    const { control, states } = await registry();
    const { listening } = meshServer(control, { isRegistering: true });
    const { address } = await listening;
    control.onExports = (listeners) =>
      states.push(listeners.map(({ state }) => (state === Listener_State.NOT_SERVING ? "NOT_SERVING" : "other")));
    control.delete(lds, `inbound/${address}`);
    await control.until(() => states.at(-1)?.[0] === "NOT_SERVING");
  });

  test("ends with Drain, and waits until it is safe to stop", async () => {
    const { control } = await registry();
    const { listening, listener } = meshServer(control, { isRegistering: true });
    await listening;
    await listener().leave(1_000);
    expect(control.registered.at(-1)).toMatchObject({ $case: "drain" });
  });

  test("that leaves waits no longer than it may", async () => {
    const { control } = await registry();
    const { listening, listener } = meshServer(control, { isRegistering: true });
    await listening;
    await control.stop();
    await listener().leave(50);
  });

  test("of two servers of a process is one list, and the first to go is taken out of it", async () => {
    const { control, states } = await registry();
    const { listening, listener, mesh } = meshServer(control, { isRegistering: true });
    await listening;
    const second = createServer({
      portName: "other",
      listening: (bound) => openMeshListener(mesh, bound, { fallback: insecure }),
    });
    open.push(() => second.close(0));
    await second.listen("127.0.0.1:0");
    await control.until(() => states.at(-1)?.join() === "SERVING,SERVING");
    await listener().leave(1_000);
    expect(states.at(-1)).toEqual(["SERVING"]);
    expect(control.registered.some((up) => up.$case === "drain")).toBe(false);
  });
});
