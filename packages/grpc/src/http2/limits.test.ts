import { once } from "node:events";
import { expect, test } from "vitest";
import { ErrorCode } from "./error.ts";
import { FrameFlag, FrameType, readUint31, readUint32, Setting } from "./frame.ts";
import { defaultLimits, type Http2Limits } from "./options.ts";
import { connectClient, type EchoServer, startEcho } from "./testing/echo.ts";
import { collectGarbage } from "./testing/garbage.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { frame, get, RawPeer, settings, uint32 } from "./testing/raw-peer.ts";

const calm = ErrorCode.ENHANCE_YOUR_CALM;
const settingsAck = frame(FrameType.settings, FrameFlag.ack, 0);
const ping = frame(FrameType.ping, 0, 0, "0000000000000001");

function many(count: number, make: (i: number) => Buffer): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(i)));
}

/** Attacks a server with `bytes`, and says how it ended: the GOAWAY's code, the server's error, and whether another client was hurt. */
async function attack(limits: Partial<Http2Limits>, bytes: Buffer) {
  await using server = await startEcho({ limits });
  using bystander = await connectClient(server.port);
  using peer = await RawPeer.connect(server.port);
  peer.send(bytes);
  const code = await peer.goawayCode();
  const reply = await bystander.call(Buffer.from("still here")).done;
  return { code, limit: server.log.connectionErrors[0]?.limit, bystander: reply.body.toString() };
}

const client = (n: number) => n * 2 + 1;
const openHeaders = frame(FrameType.headers, 0, 1, "828684");

test.each([
  ["SETTINGS flood", "settings-flood", many(200, () => settings())],
  ["SETTINGS with hundreds of parameters", "settings-flood", settings(...Array.from({ length: 400 }, () => 9))],
  ["PING flood", "ping-flood", many(1000, () => ping)],
  [
    "rapid reset",
    "reset-flood",
    many(1500, (i) => Buffer.concat([get(client(i), false), frame(3, 0, client(i), uint32(8))])),
  ],
  [
    "resets provoked by window updates of 0",
    "reset-flood",
    many(1500, (i) => Buffer.concat([get(client(i), false), frame(8, 0, client(i), uint32(0))])),
  ],
  ["empty DATA", "empty-frame-flood", Buffer.concat([get(1, false), many(1000, () => frame(0, 0, 1))])],
  [
    "DATA of padding only",
    "empty-frame-flood",
    Buffer.concat([get(1, false), many(1000, () => frame(0, 8, 1, "020000"))]),
  ],
  ["PRIORITY flood", "control-frame-flood", many(6000, () => frame(2, 0, 1, "0000000300"))],
  ["flood of unknown frames", "control-frame-flood", many(6000, () => frame(0x42, 0, 0, "00"))],
  [
    "RST_STREAM flood on a closed stream",
    "control-frame-flood",
    Buffer.concat([get(1), many(6000, () => frame(3, 0, 1, uint32(8)))]),
  ],
  ["unasked SETTINGS acknowledgements", "control-frame-flood", many(6000, () => frame(4, 1, 0))],
  ["endless CONTINUATION", "continuation", Buffer.concat([openHeaders, many(100, () => frame(9, 0, 1, "0f1000"))])],
  ["empty CONTINUATION", "continuation", Buffer.concat([openHeaders, many(100, () => frame(9, 0, 1))])],
  [
    "a header block of megabytes",
    "continuation",
    Buffer.concat([openHeaders, many(10, () => frame(9, 0, 1, Buffer.alloc(16_000)))]),
  ],
] as const)("%s ends that connection, and only that one", async (_, limit, bytes) => {
  expect(await attack({}, bytes)).toEqual({ code: calm, limit, bystander: "still here" });
});

test("streams above the limit are refused, and may be tried again", async () => {
  await using server = await startEcho({ limits: { maxConcurrentStreams: 2 } });
  using peer = await RawPeer.connect(server.port);
  peer.send(get(1, false), get(3, false), get(5, false));
  const refused = await peer.nextOf(FrameType.rstStream);
  expect(refused?.streamId).toBe(5);
  expect(readUint32(refused?.payload as Buffer, 0)).toBe(ErrorCode.REFUSED_STREAM);
});

test("our client keeps below the server's stream limit and hears when there is room", async () => {
  await using server = await startEcho({ limits: { maxConcurrentStreams: 2 } });
  using ours = await connectClient(server.port);
  const calls = [ours.call(undefined), ours.call(undefined)];
  expect(ours.connection.canOpenStream).toBe(false);
  expect(() => ours.call(undefined)).toThrow("can't open a stream");
  ours.connection.reset(calls[0]?.stream as NonNullable<(typeof calls)[0]["stream"]>, ErrorCode.CANCEL);
  expect(ours.connection.canOpenStream).toBe(true);
});

test("a header list above the limit fails its stream only", async () => {
  await using server = await startEcho({ limits: { maxHeaderListBytes: 1000 } });
  using peer = await RawPeer.connect(server.port);
  const value = Buffer.concat([Buffer.from("8286840001617f8407", "hex"), Buffer.alloc(127 + 900, 0x62)]);
  peer.send(frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.endStream, 1, value), get(3));
  const reset = await peer.nextOf(FrameType.rstStream);
  expect([reset?.streamId, readUint32(reset?.payload as Buffer, 0)]).toEqual([1, calm]);
  expect((await peer.nextOf(FrameType.headers))?.streamId).toBe(3);
});

test("our client sends no header list that the server doesn't take, and says so to its caller alone", async () => {
  await using server = await startEcho({ limits: { maxHeaderListBytes: 1000 } });
  using ours = await connectClient(server.port);
  expect(() => ours.call(new Uint8Array(0), ["x-large", "v".repeat(950)])).toThrow("larger than the 1000 bytes");
  expect(ours.connection.openStreams).toBe(0);
  expect((await ours.call(Buffer.from("small")).done).body.toString()).toBe("small");
  expect(server.log.requests).toHaveLength(1);
});

test("a server's headers that the client doesn't take end their stream", async () => {
  await using server = await startEcho();
  // an answer's headers are 118 bytes as the limit counts them, its trailers 44
  using peer = await RawPeer.connect(server.port, settings(Setting.maxHeaderListSize, 100));
  peer.send(settingsAck, get(1));
  const reset = await peer.nextOf(FrameType.rstStream);
  expect([reset?.streamId, readUint32(reset?.payload as Buffer, 0)]).toEqual([1, ErrorCode.INTERNAL_ERROR]);
  expect(await server.streamFailed).toMatchObject({ limit: "peer-header-list" });
  expect(server.log.connectionErrors).toEqual([]);
});

test("a block that names one large table entry a thousand times fails its stream, not the server", async () => {
  await using server = await startEcho();
  using peer = await RawPeer.connect(server.port);
  // inserts an entry of 4,000 bytes and then refers to it over and over
  const insert = Buffer.concat([
    Buffer.from("828684", "hex"),
    Buffer.from("4001617fa11e", "hex"),
    Buffer.alloc(4000, 0x62),
  ]);
  const bomb = Buffer.concat([insert, Buffer.alloc(10_000, 0xbe)]);
  peer.send(frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.endStream, 1, bomb), get(3));
  const reset = await peer.nextOf(FrameType.rstStream);
  expect(readUint32(reset?.payload as Buffer, 0)).toBe(calm);
  expect((await peer.nextOf(FrameType.headers))?.streamId).toBe(3);
});

test("a peer that makes us answer and never reads is paused, then cut off", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock, limits: { maxPingFrames: 1e9 } });
  using peer = await RawPeer.connect(server.port);
  peer.send(settingsAck);
  await peer.settle();
  peer.socket.pause();
  const pings = many(20_000, () => ping);
  // kernel buffers on both ends must be full before the server's own queue is
  const before = process.memoryUsage().rss;
  let isStuck = false;
  while (!isStuck) {
    if (peer.socket.write(pings)) continue;
    const timeout = AbortSignal.timeout(300);
    isStuck = await once(peer.socket, "drain", { signal: timeout }).then(
      () => false,
      () => true,
    );
  }
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024);
  // what the kernel took last counts as progress, once
  clock.advance(defaultLimits.writeStallTimeoutMs * 2 + 2);
  await server.connectionClosed();
  expect(server.log.connectionErrors).toMatchObject([{ code: calm, limit: "write-stall" }]);
});

/** A client with windows wide open asks for 32 MiB and takes nothing from its socket. */
async function turnDeaf(port: number): Promise<RawPeer> {
  const peer = await RawPeer.connect(port, settings(Setting.initialWindowSize, 0x7fffffff));
  peer.send(settingsAck, frame(FrameType.windowUpdate, 0, 0, uint32(0x70000000)));
  await peer.settle();
  peer.socket.pause();
  peer.send(many(32, (i) => get(client(i), true, "/large")));
  return peer;
}

test("a peer that takes no bytes is cut off without having to send any", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  using _peer = await turnDeaf(server.port);
  const closed = server.connectionClosed().then(() => "closed");
  // the kernel's buffers fill up meanwhile
  const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
  while ((await Promise.race([closed, tick()])) !== "closed") clock.advance(defaultLimits.writeStallTimeoutMs / 4);
  expect(server.log.connectionErrors).toMatchObject([{ code: calm, limit: "write-stall" }]);
});

test("a peer that makes us answer far more than it reads is cut off at once", async () => {
  await using server = await startEcho({
    clock: new ManualClock(),
    limits: { maxPingFrames: 1e9, maxOutboundBytes: 1000 },
  });
  using peer = await turnDeaf(server.port);
  const closed = server.connectionClosed().then(() => "closed");
  const pings = many(10_000, () => ping);
  const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
  while ((await Promise.race([closed, tick()])) !== "closed") {
    if (peer.socket.writableLength === 0) peer.send(pings);
  }
  expect(server.log.connectionErrors).toMatchObject([{ code: calm, limit: "outbound-queue" }]);
});

test("what peers leave unfinished or make us remember takes bounded memory", async () => {
  await using server = await startEcho();
  const peers: RawPeer[] = [];
  const used = () => {
    collectGarbage();
    return process.memoryUsage().heapUsed + process.memoryUsage().external;
  };
  // an entry of the table that displaces all others, over and over, under names never seen before
  const field = (i: number) =>
    Buffer.concat([
      Buffer.from(`\x40\x07n${String(i).padStart(6, "0")}\x7f\xa1\x1e`, "latin1"),
      Buffer.alloc(4000, 0x62),
    ]);
  const before = used();
  for (let n = 0; n < 20; n += 1) {
    const peer = await RawPeer.connect(server.port);
    peers.push(peer);
    for (let i = 0; i < 40; i += 1) {
      const block = Buffer.concat([Buffer.from("828684", "hex"), field(i)]);
      peer.send(frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.endStream, client(i), block));
    }
    await peer.settle();
    peer.send(
      frame(FrameType.headers, 0, client(40), "828684"),
      many(15, () => frame(FrameType.continuation, 0, client(40), Buffer.alloc(4000, 0x82))),
    );
    peer.frames.length = 0;
  }
  for (const peer of peers) peer.send(frame(FrameType.ping, 0, 0));
  // a PING amid a block ends the connection: everything before has been read by then
  for (const peer of peers) await peer.goawayCode();
  expect(used() - before).toBeLessThan(20 * 512 * 1024);
  for (const peer of peers) peer[Symbol.dispose]();
  expect(server.log.connectionErrors).toHaveLength(20);
});

/** A client that opens no windows asks for `count` answers of 1 MiB; five minutes and more pass. */
async function stall(clock: ManualClock, server: EchoServer, peer: RawPeer, count: number): Promise<void> {
  peer.send(settingsAck, ...Array.from({ length: count }, (_, i) => get(client(i), true, "/large")));
  await peer.settle();
  expect(server.log.requests).toHaveLength(count);
  clock.advance(defaultLimits.windowStallTimeoutMs * 2);
}

test("a client that leaves streams unread keeps them as long as it likes", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, 0));
  await stall(clock, server, peer, 4);
  peer.send(frame(FrameType.windowUpdate, 0, 3, uint32(1000)));
  expect((await peer.nextOf(FrameType.data))?.streamId).toBe(3);
  expect(server.log.streamErrors).toEqual([]);
});

test("a client that makes us keep much that it doesn't read loses the streams that wait longest", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  using peer = await RawPeer.connect(server.port, settings(Setting.initialWindowSize, 0));
  await stall(clock, server, peer, 6);
  expect(await server.streamFailed).toMatchObject({ code: calm, limit: "window-stall" });
  expect((await peer.nextOf(FrameType.rstStream))?.streamId).toBe(1);
  await peer.settle();
  expect(server.log.streamErrors).toHaveLength(2);
  expect(server.log.connections[0]?.openStreams).toBe(4);
});

test.each([
  ["nothing at all", Buffer.alloc(0)],
  ["half a preface", Buffer.from("PRI * HTTP/2.0\r\n")],
])("a client that sends %s is cut off in time", async (_, bytes) => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  const { connect } = await import("node:net");
  using peer = new RawPeer(connect(server.port, "127.0.0.1"));
  await peer.nextOf(FrameType.settings);
  peer.send(bytes);
  clock.advance(defaultLimits.prefaceTimeoutMs + 1);
  await server.connectionClosed();
  expect(server.log.connectionErrors).toMatchObject([{ limit: "preface-timeout" }]);
});

test("a client that doesn't acknowledge SETTINGS is told so", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  using peer = await RawPeer.connect(server.port);
  await peer.settle();
  clock.advance(defaultLimits.settingsTimeoutMs + 1);
  expect(await peer.goawayCode()).toBe(ErrorCode.SETTINGS_TIMEOUT);
});

test("a client that speaks HTTP/1 is turned away", async () => {
  await using server = await startEcho();
  const { connect } = await import("node:net");
  using peer = new RawPeer(connect(server.port, "127.0.0.1"));
  peer.send(Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
  expect(await peer.goawayCode()).toBe(ErrorCode.PROTOCOL_ERROR);
});

test("cancelling half of all calls for ever is no flood", async () => {
  await using server = await startEcho({ clock: new ManualClock(), limits: { maxResets: 50 } });
  using peer = await RawPeer.connect(server.port);
  for (let i = 0; i < 500; i += 1) {
    peer.send(
      get(i * 4 + 1),
      get(i * 4 + 3, false),
      frame(FrameType.rstStream, 0, i * 4 + 3, uint32(ErrorCode.CANCEL)),
    );
  }
  await peer.settle();
  expect(server.log.connectionErrors).toEqual([]);
});

test("calls that are given up when their deadline passes are no flood, however many", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock, limits: { maxResets: 50 } });
  using peer = await RawPeer.connect(server.port);
  for (let round = 0; round < 5; round += 1) {
    const ids = Array.from({ length: 500 }, (_, i) => client(round * 500 + i));
    peer.send(...ids.map((id) => get(id, true, "/silent")));
    await peer.settle();
    clock.advance(defaultLimits.earlyResetMs);
    peer.send(...ids.map((id) => frame(FrameType.rstStream, 0, id, uint32(ErrorCode.CANCEL))));
    await peer.settle();
  }
  expect(server.log.streamsClosed).toBe(2500);
  expect(server.log.connectionErrors).toEqual([]);
});

test("PINGs are no flood while answers flow", async () => {
  await using server = await startEcho({ clock: new ManualClock(), limits: { maxPingFrames: 10 } });
  using peer = await RawPeer.connect(server.port);
  for (let i = 0; i < 100; i += 1) peer.send(get(client(i)), ping);
  await peer.settle();
  expect(server.log.connectionErrors).toEqual([]);
});

test("a server that says goodbye takes streams that were under way, and says which was the last", async () => {
  await using server = await startEcho();
  using peer = await RawPeer.connect(server.port);
  peer.send(settingsAck, get(1, false));
  await peer.nextOf(FrameType.headers);
  server.log.connections[0]?.goaway();
  const first = await peer.nextOf(FrameType.goaway);
  expect(readUint31(first?.payload as Buffer, 0)).toBe(0x7fffffff);
  const question = await peer.nextOf(FrameType.ping);
  peer.send(get(3), frame(FrameType.ping, FrameFlag.ack, 0, question?.payload));
  const second = await peer.nextOf(FrameType.goaway);
  expect(readUint31(second?.payload as Buffer, 0)).toBe(3);
  peer.send(get(5), frame(FrameType.data, FrameFlag.endStream, 1));
  await peer.next(() => false);
  expect(server.log.requests).toHaveLength(2);
  expect(server.log.streamErrors).toEqual([]);
});

test("no timer is left when a connection has closed", async () => {
  const clock = new ManualClock();
  await using server = await startEcho({ clock });
  {
    using ours = await connectClient(server.port);
    await ours.call(Buffer.from("x")).done;
  }
  await server.connectionClosed();
  expect(clock.timers).toBe(0);
});
