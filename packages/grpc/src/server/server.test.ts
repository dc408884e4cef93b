import { Metadata as GrpcJsMetadata, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { bytesService } from "../grpc-js/testing/bytes-service.ts";
import { BytesClient, outcomeOf } from "../grpc-js/testing/grpc-js-client.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { ServiceHandlers } from "./handlers.ts";
import { createServer, type ServerOptions } from "./server.ts";

type Handlers = ServiceHandlers<typeof bytesService>;

const echo: Handlers = {
  unary: async (request) => request,
  async collect(requests) {
    const all: Buffer[] = [];
    for await (const request of requests) all.push(request);
    return Buffer.concat(all);
  },
  async *expand(request) {
    for (let index = 0; index < request.length; index++) yield Buffer.from([request[index]!]);
  },
  async *chat(requests) {
    for await (const request of requests) yield request;
  },
};

async function start(handlers: Partial<Handlers> = {}, options: ServerOptions = {}) {
  const server = createServer(options);
  server.add(bytesService, { ...echo, ...handlers });
  const { address } = await server.listen("127.0.0.1:0");
  const client = BytesClient.plaintext(address);
  return {
    server,
    client,
    async [Symbol.asyncDispose]() {
      client.client.close();
      await server.close(0);
    },
  };
}

test.each([0, 1, 100, 16_384, 65_536, 1_000_000, 4 * 1024 * 1024 - 1])(
  "a unary call carries %i bytes there and back",
  async (size) => {
    await using pair = await start();
    const request = Buffer.alloc(size, "x");
    const { messages, status: ended } = await pair.client.unary(request);
    expect(ended.code).toBe(status.OK);
    expect(messages[0]?.equals(request)).toBe(true);
  },
);

test("a client-streaming handler reads every request in order", async () => {
  await using pair = await start();
  const { call, outcome } = pair.client.collect();
  for (const text of ["a", "b", "c"]) call.write(Buffer.from(text));
  call.end();
  const { messages } = await outcome;
  expect(messages[0]?.toString()).toBe("abc");
});

test("a generator's values become the messages of a server-streaming call", async () => {
  await using pair = await start();
  const { messages, status: ended } = await outcomeOf(pair.client.expand(Buffer.from("weft")));
  expect(Buffer.concat(messages).toString()).toBe("weft");
  expect(ended.code).toBe(status.OK);
});

test("a bidirectional handler answers while requests still come", async () => {
  await using pair = await start();
  const call = pair.client.chat();
  const got: string[] = [];
  const finished = new Promise<void>((resolve) => call.on("end", resolve));
  call.on("data", (message: Buffer) => {
    got.push(message.toString());
    if (got.length < 3) call.write(Buffer.from(`${got.length}`));
    else call.end();
  });
  call.write(Buffer.from("0"));
  await finished;
  expect(got).toEqual(["0", "1", "2"]);
});

test("metadata reaches the handler, headers and trailers the caller, bytes included", async () => {
  await using pair = await start({
    async unary(_request, context) {
      context.sendHeaders(new Metadata({ "x-early": "yes", "x-early-bin": Uint8Array.of(0, 255) }));
      context.trailers.set("x-late-bin", Uint8Array.of(1, 2));
      const bytes = context.metadata.get("x-in-bin");
      return Buffer.from(`${context.metadata.get("x-in")} ${bytes?.join()} ${context.metadata.has("grpc-timeout")}`);
    },
  });
  const sent = new GrpcJsMetadata();
  sent.set("x-in", "text");
  sent.set("x-in-bin", Buffer.of(7, 0));
  const { messages, headers, status: ended } = await pair.client.unary(Buffer.of(), {}, sent);
  expect(messages[0]?.toString()).toBe("text 7,0 false");
  expect(headers?.get("x-early")).toEqual(["yes"]);
  expect(headers?.get("x-early-bin")).toEqual([Buffer.of(0, 255)]);
  expect(ended.metadata.get("x-late-bin")).toEqual([Buffer.of(1, 2)]);
});

test("a thrown RpcError is the call's status, with its details and metadata", async () => {
  await using pair = await start({
    async unary() {
      const metadata = new Metadata({ "grpc-status-details-bin": Uint8Array.of(9) });
      throw new RpcError("NOT_FOUND", "no bäckend at 100%", { metadata });
    },
  });
  const { status: ended } = await pair.client.unary(Buffer.of());
  expect(ended).toMatchObject({ code: status.NOT_FOUND, details: "no bäckend at 100%" });
  expect(ended.metadata.get("grpc-status-details-bin")).toEqual([Buffer.of(9)]);
});

test("any other thrown error is UNKNOWN and tells the caller nothing of it, but is reported here", async () => {
  const reported: unknown[] = [];
  const secret = new Error("password=hunter2");
  const handlers: Partial<Handlers> = {
    async unary() {
      throw secret;
    },
  };
  await using pair = await start(handlers, { onHandlerError: (error, path) => reported.push(error, path) });
  const { status: ended } = await pair.client.unary(Buffer.of());
  expect(ended.code).toBe(status.UNKNOWN);
  expect(JSON.stringify(ended)).not.toContain("hunter2");
  expect(reported).toEqual([secret, "/test.Bytes/Unary"]);
});

test("messages sent before a generator throws arrive before the status", async () => {
  await using pair = await start({
    async *expand() {
      yield Buffer.from("one");
      throw new RpcError("ABORTED", "enough");
    },
  });
  const { messages, status: ended } = await outcomeOf(pair.client.expand(Buffer.of()));
  expect(messages.map(String)).toEqual(["one"]);
  expect(ended).toMatchObject({ code: status.ABORTED, details: "enough" });
});

test("a method nobody serves is UNIMPLEMENTED", async () => {
  await using pair = await start();
  const same = (bytes: Buffer) => bytes;
  const code = await new Promise((resolve) => {
    pair.client.client.makeUnaryRequest("/test.Bytes/Nothing", same, same, Buffer.of(), (error) =>
      resolve(error?.code),
    );
  });
  expect(code).toBe(status.UNIMPLEMENTED);
});

test("a request above the limit is RESOURCE_EXHAUSTED and the connection goes on", async () => {
  await using pair = await start({}, { maxReceiveMessageBytes: 1000 });
  const { status: refused } = await pair.client.unary(Buffer.alloc(1001));
  const { status: accepted } = await pair.client.unary(Buffer.alloc(1000));
  expect([refused.code, accepted.code]).toEqual([status.RESOURCE_EXHAUSTED, status.OK]);
});

test("a cancelled call aborts its handler's signal and closes its generator", async () => {
  const seen: string[] = [];
  const finished = Promise.withResolvers<void>();
  await using pair = await start({
    async *expand(_request, { signal }) {
      signal.addEventListener("abort", () => seen.push((signal.reason as RpcError).code));
      try {
        yield Buffer.from("first");
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        yield Buffer.from("nobody gets this");
      } finally {
        finished.resolve();
      }
    },
  });
  const call = pair.client.expand(Buffer.of());
  call.on("error", ignore).once("data", () => call.cancel());
  await finished.promise;
  expect(seen).toEqual(["CANCELLED"]);
});

test("a deadline ends the call on the server, and aborts the handler", async () => {
  const aborted = Promise.withResolvers<string>();
  await using pair = await start({
    async unary(request, { signal, deadline }) {
      const left = deadline!.getTime() - Date.now();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      aborted.resolve(`${(signal.reason as RpcError).code} ${left > 0 && left <= 60}`);
      return request;
    },
  });
  const { status: ended } = await pair.client.unary(Buffer.of(), { deadline: Date.now() + 60 });
  expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
  // The client's own timer may be first: then the server hears a cancellation.
  expect(await aborted.promise).toMatch(/^(DEADLINE_EXCEEDED|CANCELLED) true$/);
});

test("a reader that stops holds the generator back", async () => {
  let produced = 0;
  await using pair = await start({
    async *expand() {
      for (;;) {
        produced++;
        yield Buffer.alloc(64 * 1024);
      }
    },
  });
  const call = pair.client.expand(Buffer.of());
  call.on("error", ignore);
  await new Promise<void>((resolve) => call.once("readable", resolve));
  // Once the windows are full nothing moves any more.
  let before = -1;
  while (before !== produced) {
    before = produced;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(produced).toBeLessThan(200);
  call.cancel();
});

test("a handler that doesn't read holds the caller back", async () => {
  const release = Promise.withResolvers<void>();
  await using pair = await start({
    async collect(requests) {
      await release.promise;
      let bytes = 0;
      for await (const request of requests) bytes += request.length;
      return Buffer.from(`${bytes}`);
    },
  });
  const { call, outcome } = pair.client.collect();
  let accepted = 0;
  while (accepted < 200 && call.write(Buffer.alloc(64 * 1024))) accepted++;
  const stalled = !call.write(Buffer.alloc(64 * 1024));
  release.resolve();
  call.end();
  const { messages } = await outcome;
  expect(stalled).toBe(true);
  expect(messages[0]?.toString()).toBe(`${(accepted + 2) * 64 * 1024}`);
});

test("close lets a running call end, and refuses new connections at once", async () => {
  const entered = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using pair = await start({
    async unary(request) {
      entered.resolve();
      await release.promise;
      return request;
    },
  });
  const call = pair.client.unary(Buffer.from("still here"));
  await entered.promise;
  const closed = pair.server.close(5000);
  release.resolve();
  expect((await call).messages[0]?.toString()).toBe("still here");
  await closed;
  const after = await pair.client.unary(Buffer.of());
  expect(after.status.code).toBe(status.UNAVAILABLE);
});

test("close cuts what still runs when the grace is over", async () => {
  const entered = Promise.withResolvers<AbortSignal>();
  await using pair = await start({
    async unary(request, { signal }) {
      entered.resolve(signal);
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      return request;
    },
  });
  const call = pair.client.unary(Buffer.of());
  const signal = await entered.promise;
  await pair.server.close(20);
  expect(signal.aborted).toBe(true);
  expect((await call).status.code).not.toBe(status.OK);
});

test("a service can't be added twice, nor without all its handlers", async () => {
  const server = createServer();
  server.add(bytesService, echo);
  expect(() => server.add(bytesService, echo)).toThrow("/test.Bytes/Unary is served already");
  const { unary: _unary, ...rest } = echo;
  expect(() => createServer().add(bytesService, rest as Handlers)).toThrow("no handler named unary");
});

function ignore(): void {
  // The test looks elsewhere for how the call ended.
}
