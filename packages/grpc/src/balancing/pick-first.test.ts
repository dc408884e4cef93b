import { createServer } from "node:http2";
import { createServer as createTcpServer, type Server } from "node:net";
import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { closedPort } from "../subchannel/testing/closed-port.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { addressesInOrder } from "./address-order.ts";
import { type BalancerPolicy, createBalancer } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";

async function listening(server: Server) {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  const { port } = address;
  return { port, endpoint: endpointAt(port), [Symbol.dispose]: () => void server.close() };
}

function endpointAt(port: number, host = "127.0.0.1"): Endpoint {
  return { addresses: [{ kind: "tcp", host, port }] };
}

/** Accepts and says nothing. */
const silent = () => {
  const server = createTcpServer((socket) => socket.on("error", () => undefined).unref());
  return listening(server);
};
const serving = () => listening(createServer());

function picking(policy: BalancerPolicy = { kind: "pick_first" }, random = () => 0) {
  const clock = new ManualClock();
  const pool = new SubchannelPool({ clock, random: () => 0.5 });
  let watchers: (() => void)[] = [];
  const balancer = createBalancer(policy, {
    pool,
    connectOptions: { credentials: insecure },
    random,
    onPicker: () => {
      for (const watcher of watchers.splice(0)) watcher();
    },
  });
  return {
    balancer,
    pool,
    clock,
    async until(state: string) {
      while (balancer.state !== state) await new Promise<void>((resolve) => watchers.push(resolve));
    },
    chosen: () => (balancer.picker.kind === "ready" ? balancer.picker.pick().peer : balancer.picker.kind),
    [Symbol.dispose]() {
      watchers = [];
      balancer.close();
    },
  };
}

test("an address that takes long has the next one tried beside it, and is called off when that connects", async () => {
  using slow = await silent();
  using good = await serving();
  using it = picking();
  it.balancer.updateEndpoints([slow.endpoint, good.endpoint]);
  it.balancer.exitIdle();
  expect(it.pool.size).toBe(2);
  it.clock.advance(250);
  await it.until("READY");
  expect([it.chosen(), it.pool.size]).toEqual([`127.0.0.1:${good.port}`, 1]);
});

test("a failure brings the next address at once, and the call's error when all have failed", async () => {
  using it = picking();
  it.balancer.updateEndpoints([endpointAt(await closedPort()), endpointAt(await closedPort())]);
  it.balancer.exitIdle();
  await it.until("TRANSIENT_FAILURE");
  const { picker } = it.balancer;
  expect(picker.kind === "fail" && picker.error.details).toMatch(/^none of 2 addresses could be reached.*ECONNREFUSED/);
});

test("a change that keeps the chosen address keeps its connection", async () => {
  using first = await serving();
  using second = await serving();
  using it = picking();
  it.balancer.updateEndpoints([first.endpoint, second.endpoint]);
  it.balancer.exitIdle();
  await it.until("READY");
  const chosen = it.chosen();
  it.balancer.updateEndpoints([second.endpoint, first.endpoint]);
  expect(it.chosen()).toBe(chosen);
  it.balancer.updateEndpoints([second.endpoint]);
  expect([it.balancer.state, it.pool.size]).toEqual(["IDLE", 0]);
  it.balancer.exitIdle();
  await it.until("READY");
  expect(it.chosen()).toBe(`127.0.0.1:${second.port}`);
});

test("shuffling tries endpoints in random order", async () => {
  using first = await serving();
  using second = await serving();
  using it = picking({ kind: "pick_first", shuffle: true }, () => 0);
  it.balancer.updateEndpoints([first.endpoint, second.endpoint]);
  it.balancer.exitIdle();
  await it.until("READY");
  expect(it.chosen()).toBe(`127.0.0.1:${second.port}`);
});

test("address families take turns, the first one's first", () => {
  const hosts = ["::1", "::2", "::3", "10.0.0.1", "10.0.0.2", "::1"];
  const order = addressesInOrder(hosts.map((host) => endpointAt(1, host)));
  expect(order.map((address) => address.kind === "tcp" && address.host)).toEqual([
    "::1",
    "10.0.0.1",
    "::2",
    "10.0.0.2",
    "::3",
  ]);
});
