import { createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import { Subchannel } from "./subchannel.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { reached } from "./testing/states.ts";

const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const pingType = 6;

function frame(type: number, flags: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, 0]), payload]);
}

function goaway(code: number, debug: string): Buffer {
  return frame(7, 0, Buffer.concat([Buffer.from([0, 0, 0, 0, 0, 0, 0, code]), Buffer.from(debug)]));
}

/** A peer that says nothing but what the test makes it say, and a subchannel to it that pings every 10 s. */
async function pinging() {
  const sockets: Socket[] = [];
  const frames: { readonly type: number; readonly flags: number }[] = [];
  let observers: (() => void)[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.write(settings);
    let bytes: Buffer = Buffer.alloc(0);
    let at = 24;
    socket.on("data", (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      while (bytes.length >= at + 9 && bytes.length >= at + 9 + bytes.readUIntBE(at, 3)) {
        frames.push({ type: bytes[at + 3]!, flags: bytes[at + 4]! });
        at += 9 + bytes.readUIntBE(at, 3);
      }
      for (const observer of observers.splice(0)) observer();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  const clock = new ManualClock();
  const keepalive = { timeMs: 10_000, timeoutMs: 3_000, withoutCalls: true };
  const tcp = { kind: "tcp", host: "127.0.0.1", port: address.port } as const;
  const subchannel = new Subchannel(tcp, { credentials: insecure, keepalive }, { clock, random: () => 0.5 });
  subchannel.connect();
  await reached(subchannel, "READY");
  return {
    clock,
    subchannel,
    send: (bytes: Buffer) => sockets.at(-1)!.write(bytes),
    pings: () => frames.filter(({ type, flags }) => type === pingType && flags === 0).length,
    async until(isTrue: () => boolean) {
      while (!isTrue()) await new Promise<void>((resolve) => observers.push(resolve));
    },
    frames,
    async [Symbol.asyncDispose]() {
      observers = [];
      await subchannel.close();
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("a silent peer is pinged, and given up when nothing comes", async () => {
  await using it = await pinging();
  it.clock.advance(10_000);
  await it.until(() => it.pings() === 1);
  it.clock.advance(3_000);
  expect(it.subchannel.state).toBe("IDLE");
  expect(it.subchannel.lastError?.details).toContain("a keepalive ping was not answered within 3000 ms");
});

test("a peer that sends is not pinged", async () => {
  await using it = await pinging();
  it.send(frame(pingType, 0, Buffer.alloc(8)));
  await it.until(() => it.frames.some(({ type, flags }) => type === pingType && flags === 1));
  it.clock.advance(10_000);
  expect(it.clock.pendingMs).toEqual([10_000]);
  it.clock.advance(10_000);
  expect(it.clock.pendingMs).toEqual([3_000]);
});

test("a peer that complains of too many pings gets half as many from then on", async () => {
  await using it = await pinging();
  it.send(goaway(0xb, "too_many_pings"));
  await reached(it.subchannel, "IDLE");
  it.subchannel.connect();
  await reached(it.subchannel, "READY");
  expect(it.clock.pendingMs).toContain(20_000);
});
