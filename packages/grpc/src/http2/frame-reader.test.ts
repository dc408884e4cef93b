import { Duplex } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Http2Connection } from "./connection.ts";
import type { Http2Error } from "./error.ts";
import { clientPreface } from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { frame, get, settings, uint32 } from "./testing/raw-peer.ts";

/** What the reader made of the bytes: whole frames, DATA put together again. */
function read(chunks: readonly Buffer[]): string[] {
  const seen: string[] = [];
  let data = "";
  const sink: FrameSink = {
    onFrameHead: () => true,
    onFrame: (type, flags, id, bytes, start, end) =>
      void seen.push(`${type} ${flags} ${id} ${bytes.toString("hex", start, end)}`),
    onDataHead: (flags, id, length, padding) => {
      data = `data ${flags} ${id} ${length} ${padding} `;
    },
    onDataPiece: (bytes, start, end, isLast) => {
      data += bytes.toString("hex", start, end);
      if (isLast) seen.push(data);
    },
    onBadPadding: () => void seen.push("bad padding"),
  };
  const reader = new FrameReader(sink);
  for (const chunk of chunks) reader.feed(Buffer.from(chunk), 0);
  return seen;
}

const anyFrame = fc
  .record({
    type: fc.integer({ min: 0, max: 10 }),
    padding: fc.integer({ min: -1, max: 20 }),
    body: fc.uint8Array({ maxLength: 300 }),
    id: fc.nat(100),
  })
  .map(({ type, padding, body, id }) => {
    if (type !== 0 || padding < 0) return frame(type, 0, id, Buffer.from(body));
    return frame(0, 8, id, Buffer.concat([Buffer.from([padding]), body, Buffer.alloc(padding)]));
  });

/** Cuts bytes into chunks at arbitrary places. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const length of lengths) {
    chunks.push(bytes.subarray(at, at + length));
    at += length;
  }
  return [...chunks, bytes.subarray(at)].filter((chunk) => chunk.length > 0);
}

test("frames come out the same however their bytes arrive", () => {
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 12 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 60 }),
      (frames, lengths) => {
        const bytes = Buffer.concat(frames);
        const whole = read([bytes]);
        expect(whole).toHaveLength(frames.length);
        expect(read(cut(bytes, lengths))).toEqual(whole);
      },
    ),
    { numRuns: 500 },
  );
});

/** A connection on a socket that is only fed; says how it ended. */
function feedServer(chunks: readonly Buffer[]): { error: Http2Error | undefined; requests: number; closed: number } {
  const result: { error: Http2Error | undefined; requests: number; closed: number } = {
    error: undefined,
    requests: 0,
    closed: 0,
  };
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done(), allowHalfOpen: true });
  const connection: Http2Connection = new Http2Connection(
    socket,
    "server",
    {
      onStream(stream, _headers, endStream) {
        result.requests += 1;
        const answer = () => connection.sendHeaders(stream, undefined, [":status", "200"], true);
        if (endStream) answer();
        return {
          onHeaders: answer,
          onData(_chunk, start, end, isEnd) {
            connection.consume(stream, end - start);
            if (isEnd) answer();
          },
          onWritable: () => undefined,
          onClose: () => {
            result.closed += 1;
          },
        };
      },
      onGoaway: () => undefined,
      onCapacity: () => undefined,
      onClose(error) {
        result.error = error;
      },
    },
    { clock: new ManualClock() },
  );
  for (const chunk of chunks) socket.emit("data", Buffer.from(chunk));
  connection.destroy();
  return result;
}

const conversation = Buffer.concat([
  clientPreface,
  settings(4, 70_000, 5, 20_000),
  frame(4, 1, 0),
  get(1),
  get(3, false),
  frame(0, 0, 3, Buffer.alloc(300, 1)),
  frame(8, 0, 0, uint32(1000)),
  frame(8, 0, 3, uint32(1000)),
  frame(0, 9, 3, "0a616263000000000000000000"),
  frame(1, 1, 5, "828684"),
  frame(9, 0, 5, "400161"),
  frame(9, 4, 5, "0162be"),
  frame(6, 0, 0, "0011223344556677"),
  frame(2, 0, 7, "0000000105"),
  frame(0x77, 0xff, 9, "00"),
  get(7, false),
  frame(3, 0, 7, uint32(8)),
  frame(7, 0, 0, Buffer.concat([uint32(0), uint32(0)])),
]);

test("a whole conversation is understood however its bytes arrive", () => {
  expect(feedServer([conversation])).toEqual({ error: undefined, requests: 4, closed: 4 });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), (lengths) => {
      expect(feedServer(cut(conversation, lengths))).toEqual({ error: undefined, requests: 4, closed: 4 });
    }),
    { numRuns: 200 },
  );
});

test("no change of the bytes makes a connection throw or leave a stream open", () => {
  const change = fc.record({ at: fc.nat(conversation.length - 1), to: fc.nat(255), cut: fc.nat(3), repeat: fc.nat(2) });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 10 }),
      (changes, lengths) => {
        let bytes = Buffer.from(conversation);
        for (const { at, to, cut: removed, repeat } of changes) {
          if (at >= bytes.length) continue;
          bytes[at] = to;
          const again = Array.from({ length: repeat }, () => bytes.subarray(at, at + 9));
          bytes = Buffer.concat([bytes.subarray(0, at), ...again, bytes.subarray(at + removed)]);
        }
        const { requests, closed } = feedServer(cut(bytes, lengths));
        expect(closed).toBe(requests);
      },
    ),
    { numRuns: 2000 },
  );
});

test("arbitrary frames after a good start neither throw nor leave a stream open", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(9), fc.nat(255), fc.nat(9), fc.uint8Array({ maxLength: 40 })), { maxLength: 40 }),
      (frames) => {
        const bytes = frames.map(([type, flags, id, body]) => frame(type, flags, id, Buffer.from(body)));
        const { requests, closed } = feedServer([clientPreface, settings(), ...bytes]);
        expect(closed).toBe(requests);
      },
    ),
    { numRuns: 1000 },
  );
});
