import fc from "fast-check";
import { expect, test } from "vitest";
import { ErrorCode } from "./error.ts";
import { FrameFlag, FrameType, readUint32, Setting } from "./frame.ts";
import { defaultLimits } from "./options.ts";
import { connectClient, startEcho } from "./testing/echo.ts";
import { frame, get, RawPeer, settings, uint32 } from "./testing/raw-peer.ts";

const mebibyte = 1024 * 1024;

test("a slow reader holds its sender back without growing either side's memory", async () => {
  await using server = await startEcho();
  using ours = await connectClient(server.port);
  const call = ours.call(undefined);
  const stream = call.stream as NonNullable<typeof call.stream>;
  call.isConsuming = false;
  const chunk = new Uint8Array(10_000);
  let sent = 0;
  while (ours.connection.write(stream, undefined, chunk, false)) sent += chunk.length;
  // the peer echoes into a window that we don't open again, so it stops taking ours
  const { promise, resolve } = Promise.withResolvers<void>();
  ours.connection.ping(() => resolve());
  await promise;
  expect(sent).toBeLessThan(2 * mebibyte);
  expect(call.received).toBeLessThanOrEqual(defaultLimits.initialStreamWindowBytes);
  expect(stream.queuedBytes).toBeLessThanOrEqual(defaultLimits.writeHighWaterBytes + chunk.length);
  expect(server.log.mostQueued).toBeLessThanOrEqual(mebibyte);
  ours.connection.reset(stream, ErrorCode.CANCEL);
});

test("a sender that waits goes on when the reader does, to the last byte", async () => {
  await using server = await startEcho();
  using ours = await connectClient(server.port);
  const call = ours.call(undefined);
  const stream = call.stream as NonNullable<typeof call.stream>;
  const chunk = new Uint8Array(50_000);
  for (let sent = 0; sent < 8_000_000; sent += chunk.length) {
    if (!ours.connection.write(stream, undefined, chunk, false)) await call.writable();
  }
  ours.connection.write(stream, undefined, new Uint8Array(0), true);
  const reply = await call.done;
  expect(reply.error).toBeUndefined();
  expect(reply.body).toHaveLength(8_000_000);
});

test("receive windows grow while a fast stream is consumed, within their limits", async () => {
  await using server = await startEcho({
    limits: { initialStreamWindowBytes: 65_535, maxStreamWindowBytes: mebibyte },
  });
  using ours = await connectClient(server.port);
  const reply = await ours.call(new Uint8Array(16 * mebibyte)).done;
  expect(reply.error).toBeUndefined();
  using peer = await RawPeer.connect(server.port);
  // what a new connection starts with doesn't depend on others
  expect((await peer.nextOf(FrameType.settings))?.payload.readUInt32BE(8)).toBe(65_535);
});

test("a body of many windows from one stream doesn't starve another", async () => {
  await using server = await startEcho();
  using ours = await connectClient(server.port);
  const order: string[] = [];
  const large = ours.call(new Uint8Array(32 * mebibyte)).done.then(() => order.push("large"));
  const small = ours.call(new Uint8Array(1000)).done.then(() => order.push("small"));
  await Promise.all([large, small]);
  expect(order).toEqual(["small", "large"]);
});

test("DATA beyond the stream's window ends the stream, beyond the connection's window the connection", async () => {
  await using server = await startEcho({
    limits: { initialStreamWindowBytes: 65_535, initialConnectionWindowBytes: 200_000 },
  });
  using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, 0));
  const data = (id: number) => frame(FrameType.data, 0, id, Buffer.alloc(16_384));
  peer.send(get(1, false, "/silent"), data(1), data(1), data(1), data(1), data(1));
  const reset = await peer.nextOf(FrameType.rstStream);
  expect(readUint32(reset?.payload as Buffer, 0)).toBe(ErrorCode.FLOW_CONTROL_ERROR);
  const streams = [3, 5, 7, 9, 11, 13, 15].map((id) =>
    Buffer.concat([get(id, false, "/silent"), data(id), data(id), data(id)]),
  );
  peer.send(...streams);
  expect(await peer.goawayCode()).toBe(ErrorCode.FLOW_CONTROL_ERROR);
});

test("bytes of a stream that was reset are given back to the connection's window", async () => {
  await using server = await startEcho({ limits: { initialConnectionWindowBytes: 65_535 } });
  using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, 0));
  // the echo can't send, so it doesn't consume: only the reset frees these
  for (let id = 1; id < 40; id += 2) {
    peer.send(
      get(id, false),
      frame(FrameType.data, 0, id, Buffer.alloc(16_000)),
      frame(FrameType.rstStream, 0, id, uint32(8)),
    );
  }
  await peer.settle();
  expect(server.log.connectionErrors).toEqual([]);
});

test("trailers wait behind queued data, and later blocks still decode", async () => {
  await using server = await startEcho();
  using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, 10));
  peer.send(get(1, false), frame(FrameType.data, FrameFlag.endStream, 1, Buffer.alloc(25, 7)));
  await peer.nextOf(FrameType.data);
  // another answer's trailers overtake those that wait
  peer.send(get(3));
  await peer.next((f) => f.streamId === 3 && (f.flags & FrameFlag.endStream) !== 0);
  peer.send(frame(FrameType.windowUpdate, 0, 1, uint32(100)));
  const rest = await peer.nextOf(FrameType.data);
  expect(rest?.payload).toHaveLength(15);
  expect((await peer.nextOf(FrameType.headers))?.flags).toBe(FrameFlag.endStream | FrameFlag.endHeaders);
});

test("no schedule of windows makes the sender exceed them or lose a byte", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("stream" as const), by: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ kind: fc.constant("connection" as const), by: fc.integer({ min: 1, max: 3000 }) }),
    fc.record({ kind: fc.constant("initial" as const), by: fc.integer({ min: 0, max: 2000 }) }),
  );
  await using server = await startEcho();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.integer({ min: 0, max: 2000 }), async (steps, initial) => {
      using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, initial));
      const size = 60_000;
      peer.send(get(1, false));
      for (let sent = 0; sent < size; sent += 15_000)
        peer.send(frame(FrameType.data, sent + 15_000 === size ? 1 : 0, 1, Buffer.alloc(15_000, sent >> 8)));
      let streamWindow = initial;
      let connectionWindow = 65_535;
      let base = initial;
      const dataSoFar = () =>
        peer.frames.filter((f) => f.type === FrameType.data).reduce((sum, f) => sum + f.payload.length, 0);
      for (const { kind, by } of steps) {
        if (kind === "initial") {
          peer.send(settings(Setting.initialWindowSize, by));
          streamWindow += by - base;
          base = by;
        } else {
          peer.send(frame(FrameType.windowUpdate, 0, kind === "stream" ? 1 : 0, uint32(by)));
          if (kind === "stream") streamWindow += by;
          else connectionWindow += by;
        }
        await peer.settle();
        // a smaller initial window may have come after the bytes left
        expect(dataSoFar()).toBeLessThanOrEqual(Math.max(streamWindow, initial + 12 * 3000));
        expect(dataSoFar()).toBeLessThanOrEqual(connectionWindow);
        if (streamWindow >= 0)
          expect(dataSoFar()).toBeGreaterThanOrEqual(Math.min(streamWindow, connectionWindow, size));
      }
      peer.send(
        frame(FrameType.windowUpdate, 0, 0, uint32(size)),
        frame(FrameType.windowUpdate, 0, 1, uint32(size * 2)),
      );
      await peer.next((f) => f.type === FrameType.headers && (f.flags & FrameFlag.endStream) !== 0);
      expect(dataSoFar()).toBe(size);
    }),
    { numRuns: 40 },
  );
});
