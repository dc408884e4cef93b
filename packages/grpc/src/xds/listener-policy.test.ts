import { typeUrls } from "@weft/xds-api";
import { describe, expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import { staticIdentity } from "../identity/static-source.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { ClusterTlsCache } from "./cluster-tls.ts";
import { ListenerPolicy, serverListenerName } from "./listener-policy.ts";
import { processAt, TestControlPlane } from "./testing/control-plane.ts";
import { ads, any, downstreamTls, nonForwarding, routeConfiguration, serverListener } from "./testing/resources.ts";
import { ScriptedTransport, settled } from "./testing/scripted-transport.ts";
import { XdsClient } from "./xds-client.ts";

const { listener: lds, routeConfiguration: rds } = typeUrls;

const identity = staticIdentity({
  privateKeyPem: "",
  certificateChainPem: "",
  rootsPem: "",
  spiffeId: "spiffe://cluster.local/ns/echo/sa/server",
  notAfter: new Date(0),
});

async function start() {
  const transport = new ScriptedTransport();
  const clock = new ManualClock();
  const environment = { hasCertificateProvider: (name: string) => name === "default" };
  const client = new XdsClient({ transport, environment, clock });
  const controlPlane = processAt(new TestControlPlane(), { providers: { default: identity } });
  const target = { listenerName: "in", host: "127.0.0.1", port: 17070, fallback: insecure } as const;
  const policy = new ListenerPolicy({ client, controlPlane, tls: new ClusterTlsCache(controlPlane) }, target);
  let changes = 0;
  policy.watch(() => {
    changes += 1;
  });
  let isKnown = false;
  void policy.known.then(() => {
    isKnown = true;
  });
  await settled();
  transport.connect();
  return { transport, clock, policy, changes: () => changes, isKnown: () => isKnown };
}

const byRds = { routeSpecifier: { $case: "rds", value: { configSource: ads, routeConfigName: "r" } } } as const;

describe("a server's policy", () => {
  test("refuses everybody until it is known", async () => {
    const { policy, isKnown } = await start();
    expect(policy.mode.kind).toBe("refuse");
    expect(isKnown()).toBe(false);
  });

  test("is known to be missing when the listener does not come", async () => {
    const { policy, clock, isKnown } = await start();
    clock.advance(15_000);
    await settled();
    expect(isKnown()).toBe(true);
    expect(policy.mode).toMatchObject({
      kind: "refuse",
      reason: expect.stringContaining('listener "in" does not exist'),
    });
  });

  test("follows TLS to mTLS, and back", async () => {
    const { transport, policy, changes } = await start();
    const clients = () => (policy.mode.kind === "tls" ? policy.mode.credentials.clients : undefined);
    const relaxed = downstreamTls({ requireClientCertificate: false });
    transport.respond(lds, any.listener(serverListener("in", { transportSocket: relaxed })));
    expect(clients()).toMatchObject({ require: false });
    transport.respond(lds, any.listener(serverListener("in", { transportSocket: downstreamTls() })));
    expect(clients()).toMatchObject({ require: true });
    transport.respond(lds, any.listener(serverListener("in", { transportSocket: relaxed })));
    expect(clients()).toMatchObject({ require: false });
    expect(changes()).toBe(3);
  });

  test("keeps its TLS settings when the listener says the same in other words", async () => {
    const { transport, policy, changes } = await start();
    const transportSocket = downstreamTls();
    transport.respond(lds, any.listener(serverListener("in", { transportSocket })));
    const { mode } = policy;
    transport.respond(lds, any.listener(serverListener("in", { transportSocket, chain: { name: "renamed" } })));
    expect(policy.mode).toBe(mode);
    expect(changes()).toBe(1);
  });

  test("waits for routes of their own, and refuses where they don't come", async () => {
    const { transport, clock, policy, isKnown } = await start();
    transport.respond(lds, any.listener(serverListener("in", { manager: byRds })));
    await settled();
    expect([transport.asked(rds), isKnown()]).toEqual([["r"], false]);
    transport.respond(rds, any.routes(routeConfiguration("r", [nonForwarding])));
    expect(policy.mode).toEqual({ kind: "plaintext" });
    const { policy: other, transport: late, clock: time } = await start();
    late.respond(lds, any.listener(serverListener("in", { manager: byRds })));
    await settled();
    time.advance(15_000);
    expect(other.mode).toMatchObject({ reason: expect.stringContaining('route configuration "r" does not exist') });
    clock.advance(60_000);
    expect(policy.mode).toEqual({ kind: "plaintext" });
  });

  test("asks for routes that don't let every call in, and refuses", async () => {
    const { transport, policy } = await start();
    transport.respond(lds, any.listener(serverListener("in", { manager: byRds })));
    await settled();
    transport.respond(rds, any.routes(routeConfiguration("r", [nonForwarding], ["echo.local"])));
    expect(policy.mode).toMatchObject({ reason: expect.stringContaining("no route takes every call") });
  });

  test("takes a listener for any port", async () => {
    const { transport, policy } = await start();
    transport.respond(lds, any.listener(serverListener("in", { port: 0 })));
    expect(policy.mode).toEqual({ kind: "plaintext" });
  });

  test("stays while the control plane is away", async () => {
    const { transport, clock, policy } = await start();
    transport.respond(lds, any.listener(serverListener("in")));
    transport.fail();
    clock.advance(600_000);
    expect(policy.mode).toEqual({ kind: "plaintext" });
  });

  test("closed asks for nothing more", async () => {
    const { transport, policy } = await start();
    policy.close();
    await settled();
    expect(transport.isOpen).toBe(false);
  });
});

test("a server listener's name has the address in its template's place, encoded where it is an xdstp URL", () => {
  expect(serverListenerName("xds.istio.io/grpc/lds/inbound/%s", "[::]:17070")).toBe(
    "xds.istio.io/grpc/lds/inbound/[::]:17070",
  );
  expect(serverListenerName("xdstp://a/envoy.config.listener.v3.Listener/in/%s", "[::]:1")).toMatch(
    /in\/%5B%3A%3A%5D%3A1$/,
  );
});
