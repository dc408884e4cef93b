import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import { deflateSync, gunzipSync, gzipSync, inflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { bytesService } from "../grpc-js/testing/bytes-service.ts";
import { messagePrefix } from "../rpc/message-framing.ts";
import type { ServiceHandlers } from "./handlers.ts";
import { createServer, type ServerOptions } from "./server.ts";

// node:http2's client: what is compressed on the wire, and what isn't.

type Handlers = ServiceHandlers<typeof bytesService>;

const echo: Handlers = {
  unary: async (request) => request,
  async collect(requests) {
    const all: Buffer[] = [];
    for await (const request of requests) all.push(request);
    return Buffer.concat(all);
  },
  async *expand(request) {
    for (const byte of request) yield Buffer.of(byte);
  },
  async *chat(requests) {
    for await (const request of requests) yield request;
  },
};

const readsAll = { "grpc-accept-encoding": "identity,deflate,gzip" };
const sendsGzip = { "grpc-encoding": "gzip" };
/** Beyond what is (de)compressed at once. */
const large = Buffer.from(Array.from({ length: 500_000 }, (_, index) => (index * index) >>> 3));

interface Framed {
  readonly isCompressed: boolean;
  readonly bytes: Buffer;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  /** The status, wherever it stood. */
  readonly status: string | undefined;
  readonly messages: readonly Framed[];
}

async function start(handlers: Partial<Handlers> = {}, options: ServerOptions = {}) {
  const server = createServer(options);
  server.add(bytesService, { ...echo, ...handlers });
  const { address } = await server.listen("127.0.0.1:0");
  const session = connect(`http://${address}`);
  return {
    async call(method: string, headers: Record<string, string>, ...requests: Buffer[]): Promise<Answer> {
      const path = bytesService[method as keyof typeof bytesService].path;
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc",
        ...headers,
      });
      let trailers: IncomingHttpHeaders = {};
      stream.on("trailers", (received: IncomingHttpHeaders) => {
        trailers = received;
      });
      stream.end(Buffer.concat(requests));
      const [received] = (await once(stream, "response")) as [IncomingHttpHeaders];
      const body: Buffer[] = [];
      for await (const chunk of stream) body.push(chunk as Buffer);
      const status = String(trailers["grpc-status"] ?? received["grpc-status"]);
      return { headers: received, status, messages: unframed(Buffer.concat(body)) };
    },
    async [Symbol.asyncDispose]() {
      session.destroy();
      await server.close(0);
    },
  };
}

function framed(bytes: Buffer, isCompressed = false): Buffer {
  return Buffer.concat([messagePrefix(bytes.length, isCompressed), bytes]);
}

function unframed(body: Buffer): Framed[] {
  const messages: Framed[] = [];
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + body.readUInt32BE(at + 1);
    messages.push({ isCompressed: body[at] === 1, bytes: body.subarray(at + 5, end) });
    at = end;
  }
  return messages;
}

const hello = Buffer.from("hello hello hello");

test.each([
  ["gzip", gzipSync(hello)],
  ["deflate", deflateSync(hello)],
])("a request compressed with %s reaches its handler as it was", async (encoding, bytes) => {
  await using wire = await start();
  const { status, messages } = await wire.call("unary", { "grpc-encoding": encoding }, framed(bytes, true));
  expect([status, messages]).toEqual(["0", [{ isCompressed: false, bytes: hello }]]);
});

test("plain and compressed requests of one call keep their order, large ones too", async () => {
  await using wire = await start();
  const requests = [framed(gzipSync(large), true), framed(Buffer.from("plain")), framed(gzipSync(hello), true)];
  const { messages } = await wire.call("collect", sendsGzip, ...requests);
  expect(messages[0]?.bytes.equals(Buffer.concat([large, Buffer.from("plain"), hello]))).toBe(true);
});

test("a handler knows of each request whether it came compressed", async () => {
  const seen: boolean[] = [];
  await using wire = await start({
    async collect(requests, context) {
      for await (const _ of requests) seen.push(context.isRequestCompressed);
      return Buffer.alloc(0);
    },
  });
  await wire.call("collect", sendsGzip, framed(gzipSync(hello), true), framed(hello), framed(gzipSync(large), true));
  expect(seen).toEqual([true, false, true]);
});

test("responses are compressed as the server's option says, for callers that read it", async () => {
  await using wire = await start({}, { compression: "gzip" });
  const { headers, messages, status } = await wire.call("unary", readsAll, framed(hello));
  expect(headers["grpc-encoding"]).toBe("gzip");
  expect(messages.map(({ isCompressed, bytes }) => [isCompressed, gunzipSync(bytes).toString()])).toEqual([
    [true, hello.toString()],
  ]);
  expect(status).toBe("0");
});

test("a caller that doesn't read it gets responses as they are", async () => {
  await using wire = await start({}, { compression: "gzip" });
  const { headers, messages } = await wire.call("unary", { "grpc-accept-encoding": "identity,deflate" }, framed(hello));
  expect(headers["grpc-encoding"]).toBeUndefined();
  expect(messages).toEqual([{ isCompressed: false, bytes: hello }]);
});

test("a handler chooses the encoding, message by message", async () => {
  await using wire = await start({
    async *expand(request, context) {
      context.setCompression("deflate");
      yield request;
      context.setCompression("identity");
      yield request;
      context.setCompression("deflate");
      yield request;
    },
  });
  const { headers, messages } = await wire.call("expand", readsAll, framed(hello));
  expect(headers["grpc-encoding"]).toBe("deflate");
  expect(messages.map(({ isCompressed }) => isCompressed)).toEqual([true, false, true]);
  expect(inflateSync(messages[2]!.bytes).toString()).toBe(hello.toString());
});

test("an encoding that the headers didn't announce can't be chosen any more", async () => {
  const thrown = Promise.withResolvers<unknown>();
  await using wire = await start({
    async *expand(request, context) {
      yield request;
      try {
        context.setCompression("gzip");
      } catch (error) {
        thrown.resolve(error);
      }
    },
  });
  await wire.call("expand", readsAll, framed(hello));
  expect(String(await thrown.promise)).toContain("already sent, without encoding gzip");
});

test("the status waits for the last message to be compressed", async () => {
  await using wire = await start({}, { compression: "gzip" });
  const { messages, status } = await wire.call("chat", readsAll, framed(large), framed(hello), framed(large));
  expect(messages.map(({ bytes }) => gunzipSync(bytes).length)).toEqual([large.length, hello.length, large.length]);
  expect(status).toBe("0");
});

test("every answer says what this server reads", async () => {
  await using wire = await start();
  const { headers, status } = await wire.call("unary", { "grpc-encoding": "snappy" }, framed(hello));
  expect([headers["grpc-accept-encoding"], status]).toEqual(["identity,deflate,gzip", "12"]);
  expect((await wire.call("unary", {}, framed(hello))).headers["grpc-accept-encoding"]).toBe("identity,deflate,gzip");
});

test.each([
  ["a flag without an encoding", {}, framed(gzipSync(hello), true), "13"],
  ["bytes that aren't the encoding's", sendsGzip, framed(hello, true), "13"],
  ["a bomb", sendsGzip, framed(gzipSync(Buffer.alloc(8_000_000)), true), "8"],
  ["a flag that nobody knows", sendsGzip, Buffer.of(2, 0, 0, 0, 0), "13"],
])("%s ends the call", async (_what, headers, request, expected) => {
  await using wire = await start();
  expect((await wire.call("unary", headers, request)).status).toBe(expected);
  expect((await wire.call("collect", headers, request)).status).toBe(expected);
});

test("compressed requests that wait for their handler stay compressed", async () => {
  const release = Promise.withResolvers<void>();
  const lengths: number[] = [];
  await using wire = await start({
    async collect(requests) {
      await release.promise;
      const before = process.memoryUsage().arrayBuffers;
      for await (const request of requests) lengths.push(request.length);
      lengths.push(before);
      return Buffer.alloc(0);
    },
  });
  const before = process.memoryUsage().arrayBuffers;
  const bomb = framed(gzipSync(Buffer.alloc(4_000_000)), true);
  const answer = wire.call("collect", sendsGzip, ...Array.from({ length: 40 }, () => bomb));
  // Another call's round trip: what was sent before it has arrived.
  await wire.call("unary", sendsGzip, framed(hello));
  release.resolve();
  expect((await answer).status).toBe("0");
  expect(lengths.slice(0, -1)).toEqual(Array.from({ length: 40 }, () => 4_000_000));
  expect(lengths.at(-1)! - before).toBeLessThan(40_000_000);
});

test("a response above the limit ends the call with RESOURCE_EXHAUSTED", async () => {
  await using wire = await start({}, { maxSendMessageBytes: 10 });
  const { status, messages } = await wire.call("unary", {}, framed(hello));
  expect([status, messages]).toEqual(["8", []]);
});
