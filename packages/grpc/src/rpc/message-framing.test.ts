import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RpcError } from "./error.ts";
import { MessageReader, messagePrefix, wholeMessage } from "./message-framing.ts";

function framed(...messages: Uint8Array[]): Buffer {
  return Buffer.concat(messages.flatMap((message) => [Buffer.from(messagePrefix(message.length)), message]));
}

/** Feeds `pieces` from one buffer that is overwritten each time, as a connection's is. */
function read(pieces: Uint8Array[], maxBytes = 1 << 20) {
  const messages: Buffer[] = [];
  const errors: RpcError[] = [];
  const reader = new MessageReader(
    { onMessage: (message) => messages.push(message), onUnreadable: (error) => errors.push(error) },
    maxBytes,
    1024,
  );
  const shared = Buffer.alloc(Math.max(8, ...pieces.map((piece) => piece.length + 3)));
  for (const piece of pieces) {
    shared.fill(0xee);
    shared.set(piece, 3);
    reader.push(shared, 3, 3 + piece.length);
  }
  return { messages, errors, reader };
}

describe("MessageReader", () => {
  test("finds the messages however the bytes are split", () => {
    const message = fc.uint8Array({ maxLength: 300 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 40 })), (messages, sizes) => {
        const bytes = framed(...messages);
        const pieces: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.length; turn++) {
          const size = sizes.length === 0 ? bytes.length : sizes[turn % sizes.length]!;
          pieces.push(bytes.subarray(at, at + size));
          at += size;
        }
        const { messages: found, reader } = read(pieces);
        expect(found.map((buffer) => [...buffer])).toEqual(messages.map((expected) => [...expected]));
        expect(reader.isInMessage).toBe(false);
      }),
    );
  });

  test("reads a large message that grows past what its announcement allocates", () => {
    const message = Buffer.alloc(1_000_000, "abc");
    const bytes = framed(message);
    const pieces = [bytes.subarray(0, 7), bytes.subarray(7, 70_000), bytes.subarray(70_000)];
    expect(read(pieces).messages[0]?.equals(message)).toBe(true);
  });

  test("refuses a message beyond the limit at its prefix", () => {
    const { errors, messages } = read([framed(Buffer.alloc(11)).subarray(0, 5)], 10);
    expect(errors.map(({ code, details }) => [code, details])).toEqual([
      ["RESOURCE_EXHAUSTED", "received message of 11 bytes is larger than the limit of 10"],
    ]);
    expect(messages).toEqual([]);
  });

  test("refuses a compressed message and reads nothing after it", () => {
    const { errors, messages } = read([Buffer.concat([Buffer.from([1, 0, 0, 0, 1, 7]), framed(Buffer.from("x"))])]);
    expect(errors.map(({ code }) => code)).toEqual(["INTERNAL"]);
    expect(messages).toEqual([]);
  });

  test("knows when a message is cut off", () => {
    expect(read([framed(Buffer.from("abc")).subarray(0, 3)]).reader.isInMessage).toBe(true);
    expect(read([framed(Buffer.from("abc")).subarray(0, 7)]).reader.isInMessage).toBe(true);
  });
});

describe("wholeMessage", () => {
  test("copies the message of a chunk that is exactly one", () => {
    const chunk = framed(Buffer.from("hello"));
    const message = wholeMessage(chunk, 0, chunk.length, 5);
    chunk.fill(0);
    expect(message?.toString()).toBe("hello");
  });

  test.each([
    ["too short a chunk", framed(Buffer.from("hello")).subarray(0, 9), 10],
    ["two messages", framed(Buffer.from("a"), Buffer.from("b")), 10],
    ["one beyond the limit", framed(Buffer.from("hello")), 4],
    ["a compressed one", Buffer.from([1, 0, 0, 0, 1, 7]), 10],
  ])("leaves %s to the reader", (_, chunk, maxBytes) => {
    expect(wholeMessage(chunk, 0, chunk.length, maxBytes)).toBeUndefined();
  });
});
