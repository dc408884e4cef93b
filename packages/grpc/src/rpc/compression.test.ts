import { deflateSync, gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { acceptsEncoding, Compressor, Decompressor, parseEncoding } from "./compression.ts";
import type { RpcError } from "./error.ts";
import { MessageReader, messagePrefix } from "./message-framing.ts";

const limit = 4 * 1024 * 1024;
const large = Buffer.from(Array.from({ length: 1_000_000 }, (_, index) => index * 7919));

/** What comes out of a Decompressor, and how to wait until it is done. */
function decompressing(maxBytes = limit, encoding: "gzip" | "deflate" = "gzip") {
  const messages: Buffer[] = [];
  const flags: boolean[] = [];
  const errors: RpcError[] = [];
  const ended = Promise.withResolvers<void>();
  const decompressor = new Decompressor(encoding, maxBytes, {
    onMessage: (message, wasCompressed) => {
      messages.push(message);
      flags.push(wasCompressed);
    },
    onUnreadable: (error) => {
      errors.push(error);
      ended.resolve();
    },
    onDecompressed: ended.resolve,
  });
  return { decompressor, messages, flags, errors, ended: ended.promise };
}

describe("Decompressor", () => {
  test.each([
    ["gzip", gzipSync("hello")],
    ["deflate", deflateSync("hello")],
  ] as const)("undoes %s at once for a small message", (encoding, bytes) => {
    const { decompressor, messages, flags } = decompressing(limit, encoding);
    decompressor.push(bytes, true);
    decompressor.push(Buffer.from("plain"), false);
    expect(messages.map(String)).toEqual(["hello", "plain"]);
    expect(flags).toEqual([true, false]);
    expect(decompressor.isBusy).toBe(false);
  });

  test("keeps the order where a large message takes its time", async () => {
    const { decompressor, messages, ended } = decompressing();
    decompressor.push(gzipSync(large), true);
    decompressor.push(gzipSync("second"), true);
    decompressor.push(Buffer.from("third"), false);
    expect(decompressor.isBusy).toBe(true);
    await ended;
    expect(messages[0]?.equals(large)).toBe(true);
    expect(messages.slice(1).map(String)).toEqual(["second", "third"]);
    expect(decompressor.isBusy).toBe(false);
  });

  test("takes a small message that becomes a large one", async () => {
    const { decompressor, messages, ended } = decompressing();
    decompressor.push(gzipSync(Buffer.alloc(2_000_000)), true);
    await ended;
    expect(messages[0]?.length).toBe(2_000_000);
  });

  test.each([1000, 1_000_000])("stops a bomb at a limit of %i bytes", async (maxBytes) => {
    const { decompressor, messages, errors, ended } = decompressing(maxBytes);
    decompressor.push(gzipSync(Buffer.alloc(maxBytes * 20)), true);
    await ended;
    expect(errors.map(({ code, details }) => [code, details])).toEqual([
      ["RESOURCE_EXHAUSTED", `received message is larger than the limit of ${maxBytes} when decompressed`],
    ]);
    expect(messages).toEqual([]);
  });

  test("takes a message of exactly the limit", () => {
    const { decompressor, messages } = decompressing(5);
    decompressor.push(gzipSync("hello"), true);
    expect(messages.map(String)).toEqual(["hello"]);
  });

  test("calls bytes that can't be decompressed INTERNAL, and gives nothing after them", () => {
    const { decompressor, messages, errors } = decompressing();
    decompressor.push(Buffer.from("no gzip"), true);
    expect(errors.map(({ code }) => code)).toEqual(["INTERNAL"]);
    expect(messages).toEqual([]);
  });

  test("keeps messages compressed while it is paused", async () => {
    const { decompressor, messages, ended } = decompressing();
    decompressor.pause();
    decompressor.push(gzipSync("first"), true);
    decompressor.push(gzipSync("second"), true);
    expect([messages.length, decompressor.isBusy]).toEqual([0, true]);
    decompressor.resume();
    await ended;
    expect(messages.map(String)).toEqual(["first", "second"]);
  });

  test("gives nothing after it was stopped", async () => {
    const { decompressor, messages } = decompressing();
    const other = decompressing();
    decompressor.push(gzipSync(large), true);
    other.decompressor.push(gzipSync(large), true);
    decompressor.stop();
    await other.ended;
    expect(messages).toEqual([]);
  });
});

describe("Compressor", () => {
  test("keeps the order, and says of each message whether it is compressed", async () => {
    const sent: [Uint8Array, boolean][] = [];
    const ended = Promise.withResolvers<void>();
    const compressor = new Compressor("gzip", {
      onCompressed: (message, isCompressed) => sent.push([message, isCompressed]),
      onAllCompressed: ended.resolve,
    });
    compressor.push(Buffer.from("small"), true);
    expect(sent.length).toBe(1);
    compressor.push(large, true);
    compressor.push(Buffer.from("plain"), false);
    expect(compressor.isBusy).toBe(true);
    await ended.promise;
    expect(sent.map(([, isCompressed]) => isCompressed)).toEqual([true, true, false]);
    expect(gunzipSync(sent[0]![0]).toString()).toBe("small");
    expect(gunzipSync(sent[1]![0]).equals(large)).toBe(true);
  });

  test("leaves an empty message as it is", () => {
    const flags: boolean[] = [];
    const sink = { onCompressed: (_: Uint8Array, flag: boolean) => flags.push(flag), onAllCompressed: () => undefined };
    new Compressor("deflate", sink).push(new Uint8Array(0), true);
    expect(flags).toEqual([false]);
  });
});

describe("a MessageReader with a decompressor", () => {
  test("gives compressed and plain messages to the decompressor's sink", () => {
    const { decompressor, messages, flags } = decompressing();
    const unused = { onMessage: () => expect.unreachable(), onUnreadable: () => expect.unreachable() };
    const reader = new MessageReader(unused, limit, 1024, decompressor);
    const bytes = gzipSync("hello");
    const frame = Buffer.concat([messagePrefix(bytes.length, true), bytes]);
    const all = Buffer.concat([frame, messagePrefix(2), Buffer.from("hi")]);
    reader.push(all, 0, all.length);
    expect(messages.map(String)).toEqual(["hello", "hi"]);
    expect(flags).toEqual([true, false]);
  });
});

describe("encodings", () => {
  test("only those with a codec are known", () => {
    expect(["identity", "gzip", "deflate", "snappy", ""].map(parseEncoding)).toEqual([
      "identity",
      "gzip",
      "deflate",
      undefined,
      undefined,
    ]);
  });

  test("a peer accepts what it lists, and what isn't compressed", () => {
    expect(acceptsEncoding("identity, gzip", "gzip")).toBe(true);
    expect(acceptsEncoding("identity,gzip", "deflate")).toBe(false);
    expect(acceptsEncoding(undefined, "gzip")).toBe(false);
    expect(acceptsEncoding(undefined, "identity")).toBe(true);
  });
});
