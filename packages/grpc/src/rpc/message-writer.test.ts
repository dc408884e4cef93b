import { EchoResponse } from "@weft/xds-api/echo/echo";
import { expect, test } from "vitest";
import { messageEncoder } from "./message-writer.ts";

/** EchoResponse, counting the writers that it had to make. */
function counting(encode: (message: EchoResponse, writer?: { finish(): Uint8Array }) => { finish(): Uint8Array }) {
  const made: boolean[] = [];
  const type = {
    decode: EchoResponse.decode,
    encode(message: EchoResponse, writer?: { finish(): Uint8Array }) {
      made.push(writer === undefined);
      return encode(message, writer);
    },
  };
  return { type, made };
}

const tsProto = EchoResponse.encode as Parameters<typeof counting>[0];
const sayings = ["", "hi", "longer than before", "é", "hi"].map((message) => ({ message }));

test("each message is written as if it were alone", () => {
  const encode = messageEncoder(EchoResponse);
  const written = sayings.map(encode);
  expect(written.map((bytes) => EchoResponse.decode(bytes))).toEqual(sayings);
});

test("one writer serves them all, until one is large", () => {
  const { type, made } = counting(tsProto);
  const encode = messageEncoder(type);
  for (const message of [...sayings, { message: "x".repeat(100_000) }, ...sayings]) encode(message);
  expect(made.flatMap((isNew, index) => (isNew ? [index] : []))).toEqual([0, 1, 6]);
});

test("a message that throws half-way leaves nothing in the next", () => {
  const encode = messageEncoder<unknown>(EchoResponse as never);
  encode({ message: "hi" });
  const noText = {
    toString() {
      throw new Error("no text");
    },
  };
  expect(() => encode({ message: noText })).toThrow("no text");
  expect(EchoResponse.decode(encode({ message: "after" }) as Uint8Array)).toEqual({ message: "after" });
});

test("a writer that can't be used again isn't", () => {
  const { type, made } = counting((message) => ({ finish: () => Buffer.from(message.message) }));
  const encode = messageEncoder(type);
  expect(["one", "two"].map((message) => String(encode({ message })))).toEqual(["one", "two"]);
  expect(made).toEqual([true, true]);
});
