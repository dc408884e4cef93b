import { create, isMessage } from "@bufbuild/protobuf";
import { expect, expectTypeOf, test } from "vitest";
import { createClient } from "../channel/client.ts";
import { createServer } from "../server/server.ts";
import { protobufRuntime } from "./protobuf-runtime.ts";
import { methodsOf, serviceNameOf } from "./service-definition.ts";
import { type Line, LineSchema, Talk } from "./testing/talk_pb.ts";

/** A server of the protobuf-es service Talk, and a client of it. */
async function startTalk() {
  const server = createServer();
  server.add(Talk, {
    say: async (line) => ({ text: `${line.$typeName}: ${line.text}`, replyTo: line }),
    collect: async (lines) => {
      const texts: string[] = [];
      for await (const { text } of lines) texts.push(text);
      return create(LineSchema, { text: texts.join(" ") });
    },
    expand: async function* ({ text }) {
      for (const word of text.split(" ")) yield { text: word };
    },
    converse: async function* (lines) {
      for await (const line of lines) yield { text: `re: ${line.text}`, replyTo: line };
    },
  });
  const { address } = await server.listen("127.0.0.1:0");
  const client = createClient(Talk, address);
  return {
    client,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await server.close(0);
    },
  };
}

async function textsOf(lines: AsyncIterable<Line>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of lines) texts.push(text);
  return texts;
}

test("the methods of a protobuf-es service go by their local names", () => {
  const methods = methodsOf(Talk).map(({ name, path, requestStream, responseStream }) => {
    return [name, path, requestStream, responseStream];
  });
  expect(methods).toEqual([
    ["say", "/test.talk.v1.Talk/Say", false, false],
    ["collect", "/test.talk.v1.Talk/Collect", true, false],
    ["expand", "/test.talk.v1.Talk/Expand", false, true],
    ["converse", "/test.talk.v1.Talk/Converse", true, true],
  ]);
  expect(serviceNameOf(Talk)).toBe("test.talk.v1.Talk");
});

test("a protobuf-es client is typed by its service", async () => {
  await using talk = await startTalk();
  expectTypeOf(talk.client.say).returns.toEqualTypeOf<Promise<Line>>();
  expectTypeOf(talk.client.collect).returns.toEqualTypeOf<Promise<Line>>();
  expectTypeOf(talk.client.expand).returns.toEqualTypeOf<AsyncIterableIterator<Line, void, void>>();
  expectTypeOf(talk.client.converse).returns.toEqualTypeOf<AsyncIterableIterator<Line, void, void>>();
  // @ts-expect-error a field that the message doesn't have
  await talk.client.say({ words: "no" }).catch(() => undefined);
});

test("a request may be an object with some of the fields, a response too", async () => {
  await using talk = await startTalk();
  const reply = await talk.client.say({ text: "hello", replyTo: { number: 7n } });
  expect(isMessage(reply, LineSchema)).toBe(true);
  expect(reply.text).toBe("test.talk.v1.Line: hello");
  expect(reply.replyTo?.replyTo?.number).toBe(7n);
});

test("a request may be a message", async () => {
  await using talk = await startTalk();
  const reply = await talk.client.say(create(LineSchema, { text: "hello", data: new Uint8Array([1, 2, 3]) }));
  expect(reply.replyTo?.data).toEqual(new Uint8Array([1, 2, 3]));
});

test("requests and responses of a protobuf-es service stream", async () => {
  await using talk = await startTalk();
  expect((await talk.client.collect([{ text: "a" }, create(LineSchema, { text: "b" })])).text).toBe("a b");
  expect(await textsOf(talk.client.expand({ text: "x y z" }))).toEqual(["x", "y", "z"]);
  expect(await textsOf(talk.client.converse([{ text: "1" }, { text: "2" }]))).toEqual(["re: 1", "re: 2"]);
});

test("a request that the message can't hold fails its call with INTERNAL", async () => {
  await using talk = await startTalk();
  const wrong = { number: "many" } as unknown as { number: bigint };
  await expect(talk.client.say(wrong)).rejects.toMatchObject({ code: "INTERNAL" });
});

test("the runtime is the instance that the application imports", () => {
  expect(protobufRuntime().create).toBe(create);
});
