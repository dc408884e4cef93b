import { createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import type { Address } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { parseHttpProxy } from "./http-proxy.ts";
import { Subchannel } from "./subchannel.ts";
import { SubchannelPool } from "./subchannel-pool.ts";
import { closedPort } from "./testing/closed-port.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { reached } from "./testing/states.ts";

const plaintext: ConnectOptions = { credentials: insecure };

function tcp(port: number): Address {
  return { kind: "tcp", host: "127.0.0.1", port };
}

function subchannelTo(address: Address, options: ConnectOptions = plaintext) {
  const clock = new ManualClock();
  return { clock, subchannel: new Subchannel(address, options, { clock, random: () => 0.5 }) };
}

async function listen(onSocket: (socket: Socket) => void) {
  const server = createServer(onSocket);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  return { port: address.port, [Symbol.asyncDispose]: async () => void server.close() };
}

test("a refused connection is TRANSIENT_FAILURE, with the reason and the address", async () => {
  const port = await closedPort();
  const { subchannel } = subchannelTo(tcp(port));
  subchannel.connect();
  expect(subchannel.state).toBe("CONNECTING");
  await reached(subchannel, "TRANSIENT_FAILURE");
  expect(subchannel.lastError).toMatchObject({
    code: "UNAVAILABLE",
    details: `connect ECONNREFUSED 127.0.0.1:${port}`,
  });
});

test("a socket file that isn't there is named", async () => {
  const { subchannel } = subchannelTo({ kind: "unix", path: "/nonexistent/weft.sock" });
  subchannel.connect();
  await reached(subchannel, "TRANSIENT_FAILURE");
  expect(subchannel.lastError?.details).toContain("ENOENT /nonexistent/weft.sock");
});

test("waits out its back-off, is IDLE then, and waits longer after the next failure", async () => {
  const { subchannel, clock } = subchannelTo(tcp(await closedPort()));
  for (const waitMs of [1000, 1600, 2560]) {
    subchannel.connect();
    await reached(subchannel, "TRANSIENT_FAILURE");
    expect(clock.pendingMs.map(Math.round)).toEqual([waitMs]);
    subchannel.connect();
    expect(subchannel.state).toBe("TRANSIENT_FAILURE");
    clock.advance(waitMs);
    expect(subchannel.state).toBe("IDLE");
  }
});

test("a peer that accepts and says nothing is given up after the connect time-out", async () => {
  let accepted!: () => void;
  const connected = new Promise<void>((resolve) => {
    accepted = resolve;
  });
  await using server = await listen(() => accepted());
  const { subchannel, clock } = subchannelTo(tcp(server.port), { ...plaintext, connectTimeoutMs: 5000 });
  subchannel.connect();
  await connected;
  const failed = reached(subchannel, "TRANSIENT_FAILURE");
  clock.advance(5000);
  await failed;
  expect(subchannel.lastError?.details).toBe(`connection to 127.0.0.1:${server.port} failed: no answer within 5000 ms`);
});

test("a handshake that someone else defines and that never ends is given up with its socket", async () => {
  let gone!: () => void;
  const closed = new Promise<void>((resolve) => {
    gone = resolve;
  });
  await using server = await listen((socket) => socket.on("close", gone).resume());
  let begun!: () => void;
  const handshaking = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const connect = () => {
    begun();
    return new Promise<never>(() => undefined);
  };
  const { subchannel } = subchannelTo(tcp(server.port), { credentials: { kind: "connector", connect } });
  subchannel.connect();
  await handshaking;
  subchannel.close();
  await closed;
});

test("closing during an attempt calls it off", async () => {
  const { subchannel, clock } = subchannelTo(tcp(await closedPort()));
  subchannel.connect();
  subchannel.close();
  expect(subchannel.state).toBe("SHUTDOWN");
  expect(clock.pendingMs).toEqual([]);
});

test("the pool gives one subchannel to all who reach an address the same way, and closes it with the last", () => {
  const pool = new SubchannelPool({ clock: new ManualClock() });
  const first = pool.acquire(tcp(1), plaintext);
  expect(pool.acquire(tcp(1), { credentials: { kind: "insecure" }, serverName: "other" })).toBe(first);
  expect(pool.acquire(tcp(2), plaintext)).not.toBe(first);
  expect(pool.acquire(tcp(1), { ...plaintext, initialBackoffMs: 5 })).not.toBe(first);
  pool.release(first);
  expect(first.state).toBe("IDLE");
  pool.release(first);
  expect([first.state, pool.size]).toEqual(["SHUTDOWN", 2]);
});

test("the pool never shares a connection between different credentials", () => {
  const pool = new SubchannelPool({ clock: new ManualClock() });
  const connector = () => ({ kind: "connector", connect: () => Promise.reject(new Error("no")) }) as const;
  const mine = connector();
  const first = pool.acquire(tcp(1), { credentials: mine });
  expect(pool.acquire(tcp(1), { credentials: mine })).toBe(first);
  expect(pool.acquire(tcp(1), { credentials: connector() })).not.toBe(first);
  expect(pool.acquire(tcp(1), plaintext)).not.toBe(first);
});

test("the pool never shares a connection between different proxies, or different users of one", () => {
  const pool = new SubchannelPool({ clock: new ManualClock() });
  const through = (url: string) => {
    return pool.acquire({ kind: "tcp", host: "a.example", port: 1, proxy: parseHttpProxy(url) }, plaintext);
  };
  const first = through("http://ada:a@proxy:1");
  expect(through("http://ada:a@proxy:1")).toBe(first);
  expect(through("http://bob:b@proxy:1")).not.toBe(first);
  expect(through("http://ada:a@proxy:2")).not.toBe(first);
  expect(pool.acquire({ kind: "tcp", host: "a.example", port: 1 }, plaintext)).not.toBe(first);
});
