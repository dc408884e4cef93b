import { type EchoRequest, EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { afterEach, describe, expect, test } from "vitest";
import { Channel } from "../channel/channel.ts";
import type { ChannelOptions } from "../channel/channel-options.ts";
import { createClient } from "../channel/client.ts";
import { registerResolver } from "../channel/resolver.ts";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { insecure } from "../identity/credentials.ts";
import { staticIdentity } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { Metadata } from "../rpc/metadata.ts";
import { createServer, credentialsPolicy, type ServerOptions } from "../server/server.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { xdsResolver } from "./resolver.ts";
import {
  cds,
  lds,
  processAt,
  startControlPlane,
  TestControlPlane,
  type TestPlaneOptions,
} from "./testing/control-plane.ts";
import {
  any,
  cluster,
  endpoint,
  endpoints,
  listener,
  locality,
  nonForwarding,
  route,
  routeConfiguration,
  upstreamTls,
} from "./testing/resources.ts";
import { xdsPlaneOf } from "./xds-plane.ts";

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** A server that answers with its name. */
async function backend(name: string, options: ServerOptions = {}) {
  const server = createServer(options);
  server.add(EchoTestServiceDefinition, {
    echo: async ({ message }: EchoRequest) => ({ message: `${name} ${message}` }),
    forwardEcho: async () => ({ output: [] }),
  });
  const { port } = await server.listen("127.0.0.1:0");
  open.push(() => server.close(0));
  return port;
}

let processes = 0;

/** A process that dials `xds:` targets at `plane`. */
function processOf(plane: TestControlPlane, options: TestPlaneOptions = {}) {
  const controlPlane: ControlPlane = processAt(plane, options);
  open.push(() => controlPlane.close());
  // Schemes are the process's: each of these "processes" gets its own.
  const scheme = `xds${++processes}`;
  registerResolver(scheme, () => xdsResolver(xdsPlaneOf(controlPlane)));
  return {
    dial(target: string, channelOptions: ChannelOptions = {}) {
      const channel = new Channel(`${scheme}:///${target}`, channelOptions, new SubchannelPool());
      open.push(() => channel.close());
      const client = createClient(EchoTestServiceDefinition, channel);
      return {
        call: async (message = "hi", metadata: Record<string, string> = {}, waitForReady = false) =>
          (await client.echo({ message }, { timeoutMs: 5_000, metadata: new Metadata(metadata), waitForReady }))
            .message,
        channel,
      };
    },
  };
}

async function plane() {
  const started = await startControlPlane();
  open.push(() => started.stop());
  return started;
}

/** Everything for `echo` to reach `port` through cluster `a`. */
const simple = (port: number) => [
  any.listener(listener("echo", "routes")),
  any.routes(routeConfiguration("routes", "a")),
  any.cluster(cluster("a")),
  any.endpoints(endpoints("a", port)),
];

describe("a call to an xds target", () => {
  test("goes to the endpoints of its route's cluster", async () => {
    const control = await plane();
    control.set(...simple(await backend("one")));
    expect(await processOf(control).dial("echo").call()).toBe("one hi");
  });

  test("waits for the control plane's first answer", async () => {
    const control = await plane();
    const { call } = processOf(control).dial("echo");
    const early = call();
    await control.until(() => control.streams === 1);
    control.set(...simple(await backend("one")));
    expect(await early).toBe("one hi");
  });

  test("fails at once when the control plane can't be reached, and says so", async () => {
    const control = new TestControlPlane();
    await control.start();
    await control.stop();
    const error = await processOf(control)
      .dial("echo")
      .call()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: "UNAVAILABLE",
      details: expect.stringMatching(/control plane can't be reached.*"echo"/),
    });
  });

  test("that waits for ready outlives a control plane that is not there yet", async () => {
    const control = new TestControlPlane();
    await control.start();
    await control.stop();
    const { call } = processOf(control).dial("echo");
    await expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    const waiting = call("late", {}, true);
    control.set(...simple(await backend("one")));
    await control.start();
    open.push(() => control.stop());
    expect(await waiting).toBe("one late");
  });

  test("waits again for a control plane that is reached after all", async () => {
    const control = new TestControlPlane();
    await control.start();
    await control.stop();
    const { call } = processOf(control).dial("echo");
    await expect(call()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await control.start();
    open.push(() => control.stop());
    await control.until(() => control.asked(lds).includes("echo"));
    const waiting = call("soon");
    control.set(...simple(await backend("one")));
    expect(await waiting).toBe("one soon");
  });

  test("fails at once with the resource's name when its listener is deleted, and succeeds when it is back", async () => {
    const control = await plane();
    const resources = simple(await backend("one"));
    control.set(...resources);
    const { call } = processOf(control).dial("echo");
    await call();
    control.delete(lds, "echo");
    await expect.poll(() => call().catch((error) => error.details)).toContain('listener "echo" does not exist');
    control.set(resources[0]!);
    await expect.poll(() => call().catch((error) => error.code)).toBe("one hi");
  });

  test("fails at once when no route matches it", async () => {
    const control = await plane();
    const [listen, , ...rest] = simple(await backend("one"));
    const match = { pathSpecifier: { $case: "path", value: "/other" } } as const;
    control.set(listen!, any.routes(routeConfiguration("routes", [route("a", match)])), ...rest);
    await expect(processOf(control).dial("echo").call()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      details: expect.stringContaining("no route"),
    });
  });

  test("fails where its route is a server's, and the process lives", async () => {
    const control = await plane();
    control.set(any.listener(listener("echo", "routes")), any.routes(routeConfiguration("routes", [nonForwarding])));
    await expect(processOf(control).dial("echo").call()).rejects.toMatchObject({
      code: "UNAVAILABLE",
      details: expect.stringContaining("non_forwarding_action"),
    });
  });

  test("fails with the reason where a regular expression is bad, and the process lives", async () => {
    const control = await plane();
    const match = { pathSpecifier: { $case: "safeRegex", value: { regex: "(", engineType: undefined } } } as const;
    control.set(
      any.listener(listener("echo", "routes")),
      any.routes(routeConfiguration("routes", [route("a", match)])),
    );
    await expect(processOf(control).dial("echo").call()).rejects.toMatchObject({
      details: expect.stringContaining("regular expression"),
    });
    await control.until(() => control.refusals.length > 0);
    expect(control.refusals[0]).toContain('"routes"');
  });

  test("fails at once where its cluster has no healthy endpoint, and says which", async () => {
    const control = await plane();
    const unhealthy = locality([endpoint(1, 2)]);
    control.set(...simple(1).slice(0, 3), any.endpoints(endpoints("a", unhealthy)));
    await expect(processOf(control).dial("echo").call()).rejects.toMatchObject({
      details: expect.stringContaining('cluster "a" has no endpoints'),
    });
  });

  test("may not take longer than its route allows", async () => {
    const control = await plane();
    const server = createServer();
    server.add(EchoTestServiceDefinition, {
      echo: () => new Promise<{ message: string }>(() => undefined),
      forwardEcho: async () => ({ output: [] }),
    });
    const { port } = await server.listen("127.0.0.1:0");
    open.push(() => server.close(0));
    const limit = {
      maxStreamDuration: {
        maxStreamDuration: { seconds: 0n, nanos: 50_000_000 },
        grpcTimeoutHeaderMax: undefined,
        grpcTimeoutHeaderOffset: undefined,
      },
    };
    const [listen, , ...rest] = simple(port);
    control.set(listen!, any.routes(routeConfiguration("routes", [route("a", {}, limit)])), ...rest);
    await expect(processOf(control).dial("echo").call()).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });
});

describe("traffic", () => {
  test("is split by weight", async () => {
    const control = await plane();
    const [v1, v2] = [await backend("v1"), await backend("v2")];
    control.set(
      any.listener(listener("echo", "routes")),
      any.routes(routeConfiguration("routes", { a: 20, b: 80 })),
      any.cluster(cluster("a")),
      any.cluster(cluster("b")),
      any.endpoints(endpoints("a", v1)),
      any.endpoints(endpoints("b", v2)),
    );
    const { call, channel } = processOf(control).dial("echo");
    // Both clusters connected, so that no call waits for one.
    await expect.poll(async () => new Set([await call(), await call()]).size).toBe(2);
    expect(channel.connectivityState()).toBe("READY");
    const answers = await Promise.all(Array.from({ length: 1_000 }, () => call()));
    const toSecond = answers.filter((answer) => answer.startsWith("v2")).length;
    // Four standard deviations.
    expect(Math.abs(toSecond - 800)).toBeLessThan(51);
  });

  test("takes turns among endpoints", async () => {
    const control = await plane();
    const ports = [await backend("one"), await backend("two")];
    control.set(...simple(0).slice(0, 3), any.endpoints(endpoints("a", ...ports)));
    const { call } = processOf(control).dial("echo");
    await expect.poll(async () => new Set([await call(), await call()]).size).toBe(2);
  });

  test("follows a header", async () => {
    const control = await plane();
    const [one, two] = [await backend("one"), await backend("two")];
    const headers = [
      {
        name: "x-user",
        headerMatchSpecifier: { $case: "exactMatch", value: "ada" } as const,
        invertMatch: false,
        treatMissingHeaderAsEmpty: false,
      },
    ];
    control.set(
      any.listener(listener("echo", "routes")),
      any.routes(routeConfiguration("routes", [route("b", { headers }), route("a")])),
      any.cluster(cluster("a")),
      any.cluster(cluster("b")),
      any.endpoints(endpoints("a", one)),
      any.endpoints(endpoints("b", two)),
    );
    const { call } = processOf(control).dial("echo");
    expect([await call(), await call("hi", { "x-user": "ada" })]).toEqual(["one hi", "two hi"]);
  });

  test("uses the first priority that has endpoints", async () => {
    const control = await plane();
    const port = await backend("second");
    const groups = [locality([endpoint(1, 2)]), locality([endpoint(port)], { priority: 1 })];
    control.set(...simple(0).slice(0, 3), any.endpoints(endpoints("a", ...groups)));
    expect(await processOf(control).dial("echo").call()).toBe("second hi");
  });
});

describe("a change", () => {
  test("of endpoints fails no call", async () => {
    const control = await plane();
    const [one, two] = [await backend("one"), await backend("two")];
    control.set(...simple(one));
    const { call } = processOf(control).dial("echo");
    await call();
    control.set(any.endpoints(endpoints("a", two)));
    await expect.poll(() => call()).toBe("two hi");
  });

  test("of routes fails no call, though its clusters come later than its routes", async () => {
    const control = await plane();
    const [one, two] = [await backend("one"), await backend("two")];
    control.set(...simple(one));
    const { call } = processOf(control).dial("echo");
    await call();
    control.set(any.routes(routeConfiguration("routes", "b")));
    for (let count = 0; count < 20; count++) expect(await call()).toBe("one hi");
    control.set(any.cluster(cluster("b")));
    for (let count = 0; count < 20; count++) expect(await call()).toBe("one hi");
    control.set(any.endpoints(endpoints("b", two)));
    await expect.poll(() => call()).toBe("two hi");
  });

  test("that removes a cluster lets calls under way end", async () => {
    const control = await plane();
    const server = createServer();
    const reached = Promise.withResolvers<void>();
    const finished = Promise.withResolvers<void>();
    server.add(EchoTestServiceDefinition, {
      echo: async ({ message }: EchoRequest) => {
        if (message !== "slow") return { message: "one" };
        reached.resolve();
        await finished.promise;
        return { message: "at last" };
      },
      forwardEcho: async () => ({ output: [] }),
    });
    const { port } = await server.listen("127.0.0.1:0");
    open.push(() => server.close(0));
    control.set(...simple(port), any.cluster(cluster("b")), any.endpoints(endpoints("b", await backend("two"))));
    const { call } = processOf(control).dial("echo");
    const slow = call("slow");
    await reached.promise;
    control.set(any.routes(routeConfiguration("routes", "b")));
    await expect.poll(() => call()).toBe("two hi");
    control.delete(cds, "a");
    finished.resolve();
    expect(await slow).toBe("at last");
  });
});

describe("while the control plane is down", () => {
  test("calls go on, and changes arrive when it is back", async () => {
    const control = await plane();
    const [one, two] = [await backend("one"), await backend("two")];
    control.set(...simple(one));
    const { call } = processOf(control).dial("echo");
    await call();
    await control.stop();
    for (let count = 0; count < 10; count++) expect(await call()).toBe("one hi");
    control.set(any.endpoints(endpoints("a", two)));
    await control.start();
    await expect.poll(() => call(), { timeout: 5_000 }).toBe("two hi");
  });
});

describe("security", () => {
  const server = "spiffe://cluster.local/ns/echo/sa/server";

  async function mesh() {
    const authority = await createTestAuthority();
    const identity = async (uri: string) => staticIdentity(await authority.issue({ uris: [uri] }));
    const serverIdentity = await identity(server);
    const listening = credentialsPolicy({
      kind: "tls",
      tls: {
        identity: serverIdentity,
        clients: {
          kind: "certificate",
          require: true,
          trust: serverIdentity,
          verify: { kind: "spiffe", allowed: { kind: "trust-domains", trustDomains: ["cluster.local"] } },
        },
      },
    });
    const control = await plane();
    const client = processOf(control, {
      providers: { default: await identity("spiffe://cluster.local/ns/echo/sa/client") },
    });
    return { control, client, secured: await backend("secured", { listening }) };
  }

  const withTls = (port: number, names: readonly string[]) => [
    ...simple(port),
    any.cluster(cluster("a", { transportSocket: upstreamTls(names) })),
  ];

  test("is what the cluster says, with xDS credentials", async () => {
    const { control, client, secured } = await mesh();
    control.set(...withTls(secured, [server]));
    expect(await client.dial("echo", { credentials: { kind: "xds", fallback: insecure } }).call()).toBe("secured hi");
  });

  test("refuses a server of another identity", async () => {
    const { control, client, secured } = await mesh();
    control.set(...withTls(secured, ["spiffe://cluster.local/ns/echo/sa/other"]));
    const call = client.dial("echo", { credentials: { kind: "xds", fallback: insecure } }).call();
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE", details: expect.stringContaining("sa/other") });
  });

  test("is what the cluster says where a channel names no credentials", async () => {
    const { control, client, secured } = await mesh();
    control.set(...withTls(secured, [server]));
    expect(await client.dial("echo").call()).toBe("secured hi");
  });

  test("with credentials that are not xDS's is not the cluster's to say", async () => {
    const { control, client } = await mesh();
    control.set(...withTls(await backend("plain"), [server]));
    expect(await client.dial("echo", { credentials: insecure }).call()).toBe("plain hi");
  });

  test("falls back where the cluster says nothing", async () => {
    const { control, client } = await mesh();
    control.set(...simple(await backend("plain")));
    expect(await client.dial("echo", { credentials: { kind: "xds", fallback: insecure } }).call()).toBe("plain hi");
  });

  test("never falls back where the cluster asks for TLS and the server has none", async () => {
    const { control, client } = await mesh();
    control.set(...withTls(await backend("plain"), [server]));
    const call = client.dial("echo", { credentials: { kind: "xds", fallback: insecure } }).call();
    await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  test("turns on while calls are made", async () => {
    const { control, client, secured } = await mesh();
    control.set(...simple(await backend("plain")));
    const { call } = client.dial("echo", { credentials: { kind: "xds", fallback: insecure } });
    expect(await call()).toBe("plain hi");
    control.set(
      any.endpoints(endpoints("a", secured)),
      any.cluster(cluster("a", { transportSocket: upstreamTls([server]) })),
    );
    await expect.poll(() => call().catch((error) => error.code)).toBe("secured hi");
  });
});
