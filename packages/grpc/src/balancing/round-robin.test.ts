import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import { RpcError } from "../rpc/error.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { closedPort } from "../subchannel/testing/closed-port.ts";
import { type BalancerPolicy, createBalancer } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Picker } from "./picker.ts";

/** HTTP/2 servers that never answer; connecting to them is all that balancers do. */
async function servers(count: number) {
  const all = Array.from({ length: count }, () => createServer());
  await Promise.all(all.map((server) => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))));
  const endpoints = all.map((server) => endpoint((server.address() as AddressInfo).port));
  return { endpoints, [Symbol.dispose]: () => all.forEach((server) => void server.close()) };
}

function endpoint(port: number, weight?: number): Endpoint {
  const addresses = [{ kind: "tcp", host: "127.0.0.1", port } as const];
  return weight === undefined ? { addresses } : { addresses, weight };
}

function balanced(kind: BalancerPolicy["kind"], random = () => 0) {
  const pool = new SubchannelPool({ random: () => 0.5 });
  let watchers: (() => void)[] = [];
  const pickers: Picker[] = [];
  const balancer = createBalancer(
    { kind },
    {
      pool,
      connectOptions: { credentials: insecure },
      random,
      onPicker: (picker) => {
        pickers.push(picker);
        for (const watcher of watchers) watcher();
      },
    },
  );
  /** Resolves once `isTrue`, looked at after each picker. */
  const until = (isTrue: () => boolean) =>
    new Promise<void>((resolve) => {
      const check = () => {
        if (!isTrue()) return;
        watchers = watchers.filter((watcher) => watcher !== check);
        resolve();
      };
      watchers.push(check);
      check();
    });
  const picks = (count: number) => Array.from({ length: count }, () => pick(balancer.picker));
  return { balancer, pool, pickers, until, picks, [Symbol.dispose]: () => balancer.close() };
}

function pick(picker: Picker): string {
  if (picker.kind !== "ready") throw new Error(`the picker is ${picker.kind}`);
  return picker.pick().peer;
}

function peersOf(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ addresses: [address] }) =>
    address?.kind === "tcp" ? `${address.host}:${address.port}` : "",
  );
}

test("round_robin connects to all and takes turns among them", async () => {
  using group = await servers(3);
  using it = balanced("round_robin");
  it.balancer.updateEndpoints(group.endpoints);
  expect([it.balancer.state, it.balancer.picker.kind]).toEqual(["CONNECTING", "queue"]);
  await it.until(() => it.balancer.picker.kind === "ready" && new Set(it.picks(3)).size === 3);
  const [a, b, c] = peersOf(group.endpoints);
  expect(it.picks(6).sort()).toEqual([a, a, b, b, c, c].sort());
});

test("round_robin starts at a random endpoint", async () => {
  using group = await servers(2);
  using it = balanced("round_robin", () => 0.99);
  it.balancer.updateEndpoints(group.endpoints);
  await it.until(() => it.balancer.picker.kind === "ready" && new Set(it.picks(2)).size === 2);
  it.balancer.updateEndpoints(group.endpoints);
  expect(it.picks(1)).toEqual([peersOf(group.endpoints)[1]]);
});

test("round_robin honours weights, and a change of them", async () => {
  using group = await servers(2);
  using it = balanced("round_robin");
  const [first, second] = group.endpoints.map(({ addresses }) => addresses);
  it.balancer.updateEndpoints([
    { addresses: first!, weight: 3 },
    { addresses: second!, weight: 1 },
  ]);
  await it.until(() => it.balancer.picker.kind === "ready" && new Set(it.picks(4)).size === 2);
  const [heavy] = peersOf(group.endpoints);
  const share = () => it.picks(40).filter((peer) => peer === heavy).length;
  expect(share()).toBe(30);
  it.balancer.updateEndpoints(group.endpoints);
  expect(share()).toBe(20);
});

test("round_robin leaves out those that can't be reached, without waiting for them", async () => {
  using group = await servers(1);
  using it = balanced("round_robin");
  it.balancer.updateEndpoints([endpoint(await closedPort()), ...group.endpoints]);
  await it.until(() => it.balancer.state === "READY");
  expect(new Set(it.picks(4))).toEqual(new Set(peersOf(group.endpoints)));
});

test("round_robin fails with the last error when none can be reached", async () => {
  using it = balanced("round_robin");
  const [first, second] = [await closedPort(), await closedPort()];
  it.balancer.updateEndpoints([endpoint(first), endpoint(second)]);
  await it.until(() => it.balancer.state === "TRANSIENT_FAILURE");
  const { picker } = it.balancer;
  expect(picker.kind === "fail" && picker.error.details).toMatch(
    /^none of 2 endpoints could be reached; the last error: connect ECONNREFUSED 127\.0\.0\.1:\d+$/,
  );
});

test("an endpoint that goes takes no more calls; those that stay keep their connection", async () => {
  using group = await servers(2);
  using it = balanced("round_robin");
  it.balancer.updateEndpoints(group.endpoints);
  await it.until(() => it.balancer.picker.kind === "ready" && new Set(it.picks(2)).size === 2);
  it.balancer.updateEndpoints(group.endpoints.slice(1));
  expect(new Set(it.picks(4))).toEqual(new Set(peersOf(group.endpoints.slice(1))));
  expect([it.balancer.state, it.pool.size]).toEqual(["READY", 1]);
});

test.each(["pick_first", "round_robin"] as const)("%s without endpoints fails calls and says so", (kind) => {
  using it = balanced(kind);
  it.balancer.updateEndpoints([]);
  const { picker } = it.balancer;
  expect(picker.kind === "fail" && picker.error.details).toBe("there are no endpoints");
});

test("pick_first stays IDLE until it is wanted, then takes the first that connects", async () => {
  using group = await servers(2);
  using it = balanced("pick_first");
  it.balancer.updateEndpoints([endpoint(await closedPort()), ...group.endpoints]);
  expect(it.balancer.state).toBe("IDLE");
  it.balancer.exitIdle();
  await it.until(() => it.balancer.state === "READY");
  expect(new Set(it.picks(3))).toEqual(new Set(peersOf(group.endpoints.slice(0, 1))));
});

test("pick_first that is wanted before it has endpoints connects when they come", async () => {
  using group = await servers(1);
  using it = balanced("pick_first");
  it.balancer.exitIdle();
  it.balancer.updateEndpoints(group.endpoints);
  await it.until(() => it.balancer.state === "READY");
});

test("pick_first keeps its connection while its address stays", async () => {
  using group = await servers(2);
  using it = balanced("pick_first");
  it.balancer.updateEndpoints(group.endpoints.slice(0, 1));
  it.balancer.exitIdle();
  await it.until(() => it.balancer.state === "READY");
  const before = it.balancer.picker;
  it.balancer.updateEndpoints([...group.endpoints].reverse());
  expect(it.balancer.picker).toBe(before);
  it.balancer.updateEndpoints(group.endpoints.slice(1));
  expect(it.balancer.state).toBe("IDLE");
});

test("pick_first fails when every address failed, and says how many", async () => {
  using it = balanced("pick_first");
  it.balancer.updateEndpoints([endpoint(await closedPort()), endpoint(await closedPort())]);
  it.balancer.exitIdle();
  await it.until(() => it.balancer.state === "TRANSIENT_FAILURE");
  const { picker } = it.balancer;
  expect(picker.kind === "fail" && picker.error.details).toMatch(/^none of 2 addresses .* ECONNREFUSED/);
});

test.each(["pick_first", "round_robin"] as const)(
  "%s: a resolver's error counts only while there are no endpoints",
  async (kind) => {
    using group = await servers(1);
    using it = balanced(kind);
    const error = new RpcError("UNAVAILABLE", "no such name");
    it.balancer.onResolverError(error);
    expect(it.balancer.picker).toEqual({ kind: "fail", error });
    it.balancer.updateEndpoints(group.endpoints);
    await it.until(() => it.balancer.state === "READY");
    it.balancer.onResolverError(error);
    expect(it.balancer.state).toBe("READY");
  },
);
