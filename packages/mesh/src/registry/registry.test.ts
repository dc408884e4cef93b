import { Listener_State } from "@weft/xds-api/weft/registry/v1/registry";
import { expect, test } from "vitest";
import { defaultLimits } from "./limits.ts";
import { bounds, RegistryBench } from "./testing/bench.ts";

const { graceMs, returnMs, drainMs, helloMs } = defaultLimits;

test("a session's exports are accepted with its identity and hosts, then published", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  expect(peer.received).toEqual([
    {
      $case: "accepted",
      value: { seq: 1n, spiffeId: "spiffe://cluster.local/ns/shop/sa/echo", hosts: ["echo.shop.svc.cluster.local"] },
    },
    { $case: "published", value: { seq: 1n } },
  ]);
  expect(bench.published).toMatchObject([
    { address: "10.0.0.1", namespace: "shop", state: "LIVE", listeners: [{ port: 7070, state: "SERVING" }] },
  ]);
});

test("published comes only after the snapshot is out", async () => {
  let out = (): void => undefined;
  using bench = new RegistryBench({
    publish: () =>
      new Promise((resolve) => {
        out = resolve;
      }),
  });
  const peer = bench.peer().hello("one").exports(1);
  await peer.next("accepted");
  expect(peer.received.map((message) => message.$case)).toEqual(["accepted"]);
  out();
  await peer.next("published");
});

test("an instance that serves nothing is no workload", async () => {
  using bench = new RegistryBench();
  const peer = bench
    .peer()
    .hello("one")
    .send({ $case: "exports", value: { seq: 1n, listeners: [] } });
  await peer.next("published");
  expect(bench.uids()).toEqual([]);
});

test("a broken session leaves the instance in place for the grace, then it is withdrawn", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  await peer.cut();
  expect(bench.uids()).toEqual(["one SUSPECT"]);
  bench.clock.advance(graceMs - 1);
  expect(bench.uids()).toEqual(["one SUSPECT"]);
  bench.clock.advance(1);
  expect(bench.uids()).toEqual([]);
  expect(bench.published).toEqual([]);
  expect(bench.store.registrations.list()).toEqual([]);
});

test("the same incarnation returns within the grace and stays", async () => {
  using bench = new RegistryBench();
  await (await bench.serving("one")).cut();
  bench.clock.advance(graceMs - 1);
  await bench.serving("one");
  bench.clock.advance(graceMs * 2);
  expect(bench.uids()).toEqual(["one LIVE"]);
});

test("a second session of the same incarnation takes over from one that hasn't noticed it is dead", async () => {
  using bench = new RegistryBench();
  const first = await bench.serving("one");
  await bench.serving("one");
  expect(await first.failure()).toMatchObject({ code: "ABORTED" });
  bench.clock.advance(graceMs);
  expect(bench.uids()).toEqual(["one LIVE"]);
});

test("nothing changed means the very same workload, so that nobody is told", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  const [before] = bench.registry.workloads();
  const again = await bench.serving("one");
  again.exports(2);
  await again.next("published", 2);
  expect(bench.registry.workloads()[0]).toBe(before);
});

test("after kill -9 of the control plane what was accepted is served until sessions had time to return", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  await bench.serving("two", 7071);
  bench.restart();
  expect(bench.uids()).toEqual(["one SUSPECT", "two SUSPECT"]);
  await bench.serving("two", 7071);
  bench.clock.advance(returnMs - 1);
  expect(bench.uids()).toEqual(["one SUSPECT", "two LIVE"]);
  bench.clock.advance(1);
  expect(bench.uids()).toEqual(["two LIVE"]);
});

test("of two live instances with one address and port the first keeps it, and the attempt is audited", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  const second = bench.peer().hello("two").exports(1);
  expect(await second.next("rejected")).toMatchObject({ value: { subject: "grpc", code: "WEFT0203" } });
  expect(bench.uids()).toEqual(["one LIVE"]);
  expect(bench.store.audit.latest(1)).toMatchObject([{ action: "registration", outcome: "refused", subject: "grpc" }]);
});

test("the second gets the port once the first is gone, without asking again", async () => {
  using bench = new RegistryBench();
  const first = await bench.serving("one", 7070, bounds("other"));
  const second = bench.peer().hello("two").exports(1);
  await second.next("rejected");
  await first.cut();
  bench.clock.advance(graceMs);
  await second.next("published", 2);
  expect(bench.uids()).toEqual(["two LIVE"]);
});

test("a new incarnation replaces what a broken session of the same identity left", async () => {
  using bench = new RegistryBench();
  await (await bench.serving("one")).cut();
  await bench.serving("two");
  expect(bench.uids()).toEqual(["two LIVE"]);
  expect(bench.store.registrations.list()).toHaveLength(1);
});

test("another identity does not get the port of a broken session before its grace ends", async () => {
  using bench = new RegistryBench();
  await (await bench.serving("one")).cut();
  const thief = bench.peer(bounds("thief", "elsewhere")).hello("two").exports(1);
  expect(await thief.next("rejected")).toMatchObject({ value: { code: "WEFT0203" } });
  expect(bench.uids()).toEqual(["one SUSPECT"]);
});

test("nor in the time after a restart", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  bench.restart();
  const thief = bench.peer(bounds("thief", "elsewhere")).hello("two").exports(1);
  expect(await thief.next("rejected")).toMatchObject({ value: { code: "WEFT0203" } });
  expect(bench.uids()).toEqual(["one SUSPECT"]);
});

test("an instance that listens on nothing keeps nobody out", async () => {
  using bench = new RegistryBench();
  const idle = bench
    .peer()
    .hello("one")
    .send({ $case: "exports", value: { seq: 1n, listeners: [] } });
  await idle.next("published");
  await bench.serving("two");
  expect(bench.uids()).toEqual(["two LIVE"]);
});

test("a node id belongs to one identity", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  const second = bench.peer(bounds("other")).hello("two", { nodeId: "node-one" });
  expect(await second.next("rejected")).toMatchObject({ value: { code: "WEFT0204" } });
  expect(await second.failure()).toMatchObject({ code: "PERMISSION_DENIED" });
});

test("processes of one identity may share a node id, but no port of it", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  const second = bench.peer(bounds(), "10.0.0.2").hello("two", { nodeId: "node-one" }).exports(1, 7070);
  expect(await second.next("rejected")).toMatchObject({ value: { code: "WEFT0203" } });
  second.exports(2, 7071);
  await second.next("published", 2);
  expect(bench.uids()).toEqual(["one LIVE", "two LIVE"]);
});

test("an instance that drained may register again", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  peer.drain().exports(2);
  await peer.next("rejected");
  await bench.serving("one");
  expect(bench.uids()).toEqual(["one LIVE"]);
});

test("draining takes the instance out at once, for good, and answers when clients have let go", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  peer.drain().exports(2);
  await peer.next("rejected");
  expect(bench.published).toMatchObject([{ state: "DRAINING" }]);
  expect(bench.store.registrations.list()).toEqual([]);
  expect(peer.received.some((message) => message.$case === "safeToStop")).toBe(false);
  bench.release();
  await peer.next("safeToStop");
  await peer.end();
  expect(bench.uids()).toEqual([]);
});

test("draining answers in the end when a client does not let go", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  peer.drain().exports(2);
  await peer.next("rejected");
  bench.clock.advance(drainMs);
  expect(bench.waitedFor?.aborted).toBe(true);
  await peer.next("safeToStop");
});

test("a drained instance does not come back with a restart of the control plane", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  peer.drain().exports(2);
  await peer.next("rejected");
  bench.restart();
  expect(bench.uids()).toEqual([]);
});

test("stopping the control plane tells sessions to go elsewhere and withdraws nothing", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  bench.registry.close();
  await peer.next("goAway");
  expect(await peer.failure()).toBe("done");
  expect(bench.store.registrations.list()).toHaveLength(1);
});

test("an interface belongs to the namespace that exported it first, instances or not", async () => {
  using bench = new RegistryBench();
  await (await bench.serving("one", 7070, bounds(), ["greet.v1.Greeter"])).cut();
  bench.clock.advance(graceMs);
  const thief = bench
    .peer(bounds("thief", "elsewhere"))
    .hello("two")
    .exports(1, 7071, ["greet.v1.Greeter", "their.v1.Own"]);
  expect(await thief.next("rejected")).toMatchObject({ value: { subject: "greet.v1.Greeter", code: "WEFT0208" } });
  await thief.next("published");
  expect(bench.published).toMatchObject([{ listeners: [{ interfaces: ["their.v1.Own"] }] }]);
  expect(bench.registry.interfaces()).toMatchObject([
    { name: "greet.v1.Greeter", namespace: "shop", instances: [] },
    { name: "their.v1.Own", namespace: "elsewhere", instances: ["elsewhere/thief/two"] },
  ]);
});

test.each([
  ["grpc.testing.TestService", "WEFT0206"],
  ["Istio.v1.Auth", "WEFT0206"],
  ["weft.registry.v1.InterfaceRegistry", "WEFT0206"],
  ["echo.shop", "WEFT0207"],
  ["no spaces", "WEFT0205"],
  ["a/../b", "WEFT0205"],
  [`x${"y".repeat(255)}`, "WEFT0205"],
])("the interface name %s is refused and the rest of the message stands", async (name, code) => {
  using bench = new RegistryBench();
  const peer = bench.peer().hello("one").exports(1, 7070, [name, "greet.v1.Greeter"]);
  expect(await peer.next("rejected")).toMatchObject({ value: { seq: 1n, code } });
  await peer.next("published");
  expect(bench.published).toMatchObject([{ listeners: [{ interfaces: ["greet.v1.Greeter"] }] }]);
});

test("services that every server has for tools are left out without a word", async () => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one", 7070, bounds(), [
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
  ]);
  expect(peer.received.map((message) => message.$case)).toEqual(["accepted", "published"]);
  expect(bench.published).toMatchObject([{ listeners: [{ interfaces: [] }] }]);
});

test.each([
  ["another namespace", { namespace: "elsewhere" }],
  ["another service account", { serviceAccount: "root" }],
  ["another address", { address: "10.0.0.2" }],
])("a Hello that claims %s than its credential's is refused and audited", async (_, fields) => {
  using bench = new RegistryBench();
  const peer = bench.peer().hello("one", fields);
  expect(await peer.next("rejected")).toMatchObject({ value: { code: "WEFT0201" } });
  expect(await peer.failure()).toMatchObject({ code: "PERMISSION_DENIED" });
  expect(bench.store.audit.latest(1)).toMatchObject([{ principal: "spiffe://cluster.local/ns/shop/sa/echo" }]);
});

test.each([
  ["another value of a label that the credential gives", { app: "bank" }, false],
  ["a label that the credential does not give", { app: "echo", tier: "gold" }, false],
  ["another value, where other labels are free", { app: "bank", tier: "gold" }, true],
])("a Hello with %s is refused", async (_, labels, anyLabel) => {
  using bench = new RegistryBench();
  const peer = bench.peer({ ...bounds(), labels: { app: "echo" }, anyLabel }).hello("one", { labels });
  expect(await peer.next("rejected")).toMatchObject({ value: { code: "WEFT0201" } });
});

test("the credential's labels are the workload's, also where it leaves them out", async () => {
  using bench = new RegistryBench();
  const peer = bench.peer({ ...bounds(), labels: { app: "echo", version: "v1" }, anyLabel: false });
  await peer
    .hello("one", { labels: { app: "echo" } })
    .exports(1)
    .next("published");
  expect(bench.published).toMatchObject([{ labels: { app: "echo", version: "v1" } }]);
});

test("a credential for any label adds its own to those that the workload says", async () => {
  using bench = new RegistryBench();
  const peer = bench.peer({ ...bounds(), labels: { app: "echo" }, anyLabel: true });
  await peer
    .hello("one", { labels: { tier: "gold" } })
    .exports(1)
    .next("published");
  expect(bench.published).toMatchObject([{ labels: { app: "echo", tier: "gold" } }]);
});

test("an address within the credential's range is taken", async () => {
  using bench = new RegistryBench();
  const peer = bench.peer({ ...bounds(), addresses: ["192.168.0.0/16"] });
  await peer.hello("one", { address: "192.168.7.7" }).exports(1).next("published");
  expect(bench.published).toMatchObject([{ address: "192.168.7.7" }]);
});

test("an IPv4 peer on a dual-stack socket is known by its IPv4 address", async () => {
  using bench = new RegistryBench();
  const peer = bench.peer(bounds(), "::ffff:10.1.2.3").hello("one").exports(1);
  await peer.next("published");
  expect(bench.published).toMatchObject([{ address: "10.1.2.3" }]);
});

test.each([
  ["an incarnation with control characters", { incarnation: "a\u001b[2J" }],
  ["no node id", { nodeId: "" }],
  ["an address that is a name", { address: "localhost" }],
  ["a label that is none", { labels: { "no spaces": "x" } }],
  ["a display name with a line break", { displayName: "a\nb" }],
])("a Hello with %s is malformed", async (_, fields) => {
  using bench = new RegistryBench();
  const peer = bench.peer().hello("one", fields);
  expect(await peer.failure()).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(bench.uids()).toEqual([]);
});

test.each([
  ["a port beyond the last", { port: 70_000, boundAddress: "0.0.0.0:70000" }],
  ["a bound address of another port", { boundAddress: "0.0.0.0:1" }],
  ["a bound address that is a name", { boundAddress: "localhost:7070" }],
  ["no state", { state: Listener_State.STATE_UNSPECIFIED }],
  ["a port name that is no label", { portName: "Not A Label" }],
])("an Exports with %s is refused whole, and what was in force stays", async (_, fields) => {
  using bench = new RegistryBench();
  const peer = await bench.serving("one");
  const listener = {
    portName: "grpc",
    port: 7070,
    boundAddress: "0.0.0.0:7070",
    state: Listener_State.SERVING,
    interfaces: [],
  };
  peer.send({ $case: "exports", value: { seq: 2n, listeners: [{ ...listener, ...fields }] } });
  expect(await peer.next("rejected")).toMatchObject({ value: { seq: 2n, code: "WEFT0202" } });
  expect(bench.uids()).toEqual(["one LIVE"]);
});

test("more listeners or interfaces than the limits are refused", async () => {
  using bench = new RegistryBench({ limits: { interfaces: 2 } });
  const peer = bench.peer().hello("one").exports(1, 7070, ["a.A", "b.B", "c.C"]);
  expect(await peer.next("rejected")).toMatchObject({ value: { code: "WEFT0202" } });
});

test("more registrations than an identity may have are refused", async () => {
  using bench = new RegistryBench({ limits: { registrationsPerIdentity: 1 } });
  await bench.serving("one");
  const second = bench.peer().hello("two");
  expect(await second.failure()).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test("a flood of messages ends its session", async () => {
  using bench = new RegistryBench({ limits: { messageBurst: 5 } });
  const peer = bench.peer().hello("one");
  for (let seq = 1; seq < 10; seq++) peer.exports(seq);
  expect(await peer.failure()).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test.each([
  ["Exports before Hello", (peer: ReturnType<RegistryBench["peer"]>) => peer.exports(1)],
  ["a second Hello", (peer: ReturnType<RegistryBench["peer"]>) => peer.hello("one").hello("one")],
  ["a seq that does not rise", (peer: ReturnType<RegistryBench["peer"]>) => peer.hello("one").exports(2).exports(2)],
])("%s ends the session as malformed", async (_, act) => {
  using bench = new RegistryBench();
  const peer = bench.peer();
  act(peer);
  expect(await peer.failure()).toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a session that never says Hello is ended", async () => {
  using bench = new RegistryBench();
  const peer = bench.peer();
  bench.clock.advance(helloMs);
  expect(await peer.failure()).toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

test("a record of the store that isn't readable is dropped, and the rest is served", async () => {
  using bench = new RegistryBench();
  await bench.serving("one");
  bench.store.registrations.put({ id: "junk", record: '{"claim":1}', lastSeenMs: 0 });
  bench.restart();
  expect(bench.uids()).toEqual(["one SUSPECT"]);
  expect(bench.store.registrations.list()).toHaveLength(1);
});
