import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import { bytesService } from "./testing/bytes-service.ts";
import { BytesClient, outcomeOf } from "./testing/grpc-js-client.ts";
import { type BytesHandlers, startGrpcJsServer } from "./testing/grpc-js-server.ts";

const { status } = grpc;

async function start(handlers: Partial<BytesHandlers> = {}, options: grpc.ClientOptions = {}) {
  const peer = await startGrpcJsServer(new grpc.Server(), handlers);
  const client = weftClient(peer.address, options);
  return {
    ...peer,
    client,
    async [Symbol.asyncDispose]() {
      client.client.close();
      peer.server.forceShutdown();
    },
  };
}

/** A client as generated stubs are: grpc-js's own class, told to use our channel. */
function weftClient(address: string, options: grpc.ClientOptions = {}): BytesClient {
  const credentials = grpc.credentials.createInsecure();
  return new BytesClient(
    new grpc.Client(address, credentials, { channelFactoryOverride: weft.channelFactory, ...options }),
  );
}

test.each([0, 1, 100, 16_384, 65_536, 1_000_000, 4 * 1024 * 1024 - 1])(
  "an unchanged stub's unary call carries %i bytes to a grpc-js server and back",
  async (size) => {
    await using pair = await start();
    const request = Buffer.alloc(size, "x");
    const { messages, status: ended } = await pair.client.unary(request);
    expect(ended.code).toBe(status.OK);
    expect(messages[0]?.equals(request)).toBe(true);
  },
);

test("a second response to a call that takes one is UNIMPLEMENTED", async () => {
  await using pair = await start();
  const same = (bytes: Buffer) => bytes;
  const { client } = pair.client;
  const unary = await new Promise<grpc.ServiceError | null>((resolve) => {
    client.makeUnaryRequest(bytesService.expand.path, same, same, Buffer.from("abc"), resolve);
  });
  expect(unary?.code).toBe(status.UNIMPLEMENTED);
  const collected = await new Promise<grpc.ServiceError | null>((resolve) => {
    const call = client.makeClientStreamRequest(bytesService.chat.path, same, same, resolve);
    for (const text of ["a", "b", "c"]) call.write(Buffer.from(text));
    call.end();
  });
  expect(collected?.code).toBe(status.UNIMPLEMENTED);
});

test("client streaming sends every message in order", async () => {
  await using pair = await start();
  const { call, outcome } = pair.client.collect();
  for (const text of ["a", "b", "c"]) call.write(Buffer.from(text));
  call.end();
  expect((await outcome).messages[0]?.toString()).toBe("abc");
});

test("server streaming receives every message, then the status", async () => {
  await using pair = await start();
  const { messages, status: ended } = await outcomeOf(pair.client.expand(Buffer.from("weft")));
  expect(Buffer.concat(messages).toString()).toBe("weft");
  expect(ended.code).toBe(status.OK);
});

test("a bidirectional call goes back and forth", async () => {
  await using pair = await start();
  const call = pair.client.chat();
  const got: string[] = [];
  const finished = outcomeOf(call);
  call.on("data", (message: Buffer) => {
    got.push(message.toString());
    if (got.length < 3) call.write(Buffer.from(`${got.length}`));
    else call.end();
  });
  call.write(Buffer.from("0"));
  expect((await finished).status.code).toBe(status.OK);
  expect(got).toEqual(["0", "1", "2"]);
});

test("metadata goes both ways, bytes included", async () => {
  await using pair = await start({
    unary(call, callback) {
      const early = new grpc.Metadata();
      early.set("x-early", "yes");
      early.set("x-early-bin", Buffer.of(0, 255));
      call.sendMetadata(early);
      const late = new grpc.Metadata();
      late.set("x-late-bin", Buffer.of(1));
      callback(null, Buffer.from(`${call.metadata.get("x-in")} ${call.metadata.get("x-in-bin")[0]?.toString()}`), late);
    },
  });
  const sent = new grpc.Metadata();
  sent.set("x-in", "text");
  sent.set("x-in-bin", Buffer.from("bytes"));
  const { messages, headers, status: ended } = await pair.client.unary(Buffer.of(), {}, sent);
  expect(messages[0]?.toString()).toBe("text bytes");
  expect(headers?.get("x-early")).toEqual(["yes"]);
  expect(headers?.get("x-early-bin")).toEqual([Buffer.of(0, 255)]);
  expect(ended.metadata.get("x-late-bin")).toEqual([Buffer.of(1)]);
});

test("an error's code, details and trailers reach the callback", async () => {
  await using pair = await start({
    unary(_call, callback) {
      const metadata = new grpc.Metadata();
      metadata.set("grpc-status-details-bin", Buffer.of(9));
      callback({ code: status.NOT_FOUND, details: "no bäckend at 100%", metadata });
    },
  });
  const { status: ended } = await pair.client.unary(Buffer.of());
  expect(ended).toMatchObject({ code: status.NOT_FOUND, details: "no bäckend at 100%" });
  expect(ended.metadata.get("grpc-status-details-bin")).toEqual([Buffer.of(9)]);
});

test("messages before an error are read before it is told", async () => {
  await using pair = await start({
    expand(call) {
      for (const text of ["one", "two", "three"]) call.write(Buffer.from(text));
      call.emit("error", { code: status.ABORTED, details: "enough" });
    },
  });
  const { messages, status: ended } = await outcomeOf(pair.client.expand(Buffer.of()));
  expect(messages.map(String)).toEqual(["one", "two", "three"]);
  expect(ended.code).toBe(status.ABORTED);
});

test("a deadline ends the call here", async () => {
  await using pair = await start({ unary: ignore });
  const { status: ended } = await pair.client.unary(Buffer.of(), { deadline: Date.now() + 30 });
  expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
});

test("cancel ends the call here, and the server hears of it", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using pair = await start({
    expand(call) {
      call.on("cancelled", cancelled.resolve);
      call.write(Buffer.from("first"));
    },
  });
  const call = pair.client.expand(Buffer.of());
  const outcome = outcomeOf(call);
  call.once("data", () => call.cancel());
  expect((await outcome).status.code).toBe(status.CANCELLED);
  await cancelled.promise;
});

test("interceptors see and change calls as they do on grpc-js's own channel", async () => {
  await using pair = await start({
    unary: (call, callback) => callback(null, Buffer.from(`${call.metadata.get("x-by")}`)),
  });
  const seen: string[] = [];
  const interceptor: grpc.Interceptor = (options, nextCall) =>
    new grpc.InterceptingCall(nextCall(options), {
      start(metadata, _listener, next) {
        metadata.set("x-by", "interceptor");
        next(metadata, {
          onReceiveMessage(message, pass) {
            seen.push(`message ${message}`);
            pass(message);
          },
          onReceiveStatus(ended, pass) {
            seen.push(`status ${ended.code}`);
            pass(ended);
          },
        });
      },
    });
  const { messages } = await pair.client.unary(Buffer.of(), { interceptors: [interceptor] });
  expect(messages[0]?.toString()).toBe("interceptor");
  expect(seen).toEqual(["message interceptor", "status 0"]);
});

test("call credentials add their metadata, and their failure is the call's", async () => {
  await using pair = await start({
    unary: (call, callback) => callback(null, Buffer.from(`${call.metadata.get("x-token")}`)),
  });
  const given = grpc.credentials.createFromMetadataGenerator(({ service_url }, callback) => {
    const metadata = new grpc.Metadata();
    metadata.set("x-token", service_url);
    callback(null, metadata);
  });
  const failing = grpc.credentials.createFromMetadataGenerator((_options, callback) => callback(new Error("no token")));
  expect((await pair.client.unary(Buffer.of(), { credentials: given })).messages[0]?.toString()).toBe(
    "https://127.0.0.1/test.Bytes",
  );
  expect((await pair.client.unary(Buffer.of(), { credentials: failing })).status).toMatchObject({
    code: status.UNAUTHENTICATED,
    details: "Failed to retrieve auth metadata with error: no token",
  });
});

test("waitForReady calls back when connected, and fails by its deadline when nobody listens", async () => {
  await using pair = await start();
  const ready = (client: BytesClient, deadline: number) =>
    new Promise((resolve) => client.client.waitForReady(deadline, resolve));
  expect(await ready(pair.client, Date.now() + 5000)).toBeUndefined();
  await using nobody = weftClient("127.0.0.1:1");
  expect(await ready(nobody, Date.now() + 50)).toBeInstanceOf(Error);
});

test("a call to nobody is UNAVAILABLE at once", async () => {
  await using nobody = weftClient("127.0.0.1:1");
  expect((await nobody.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("close lets running calls end", async () => {
  const release = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<void>();
  await using pair = await start({
    unary(_call, callback) {
      entered.resolve();
      void release.promise.then(() => callback(null, Buffer.from("late")));
    },
  });
  const outcome = pair.client.unary(Buffer.of());
  await entered.promise;
  pair.client.client.close();
  release.resolve();
  expect((await outcome).messages[0]?.toString()).toBe("late");
  expect(() => pair.client.expand(Buffer.of())).toThrow("Channel has been shut down");
});

test("a child call inherits its parent's deadline and cancellation", async () => {
  const child = Promise.withResolvers<number>();
  await using inner = await start({ unary: ignore });
  await using outer = await startGrpcJsServer(new weft.Server(), {
    unary(call) {
      void inner.client.unary(Buffer.of(), { parent: call }).then((outcome) => child.resolve(outcome.status.code));
    },
  });
  await using client = weftClient(outer.address);
  await client.unary(Buffer.of(), { deadline: Date.now() + 50 });
  expect([status.DEADLINE_EXCEEDED, status.CANCELLED]).toContain(await child.promise);
});

test("a moved import gives clients our channel", async () => {
  await using pair = await start();
  const Stub = weft.makeGenericClientConstructor(bytesService, "Bytes");
  const stub = new Stub(pair.address, weft.credentials.createInsecure());
  expect(stub.getChannel()).toBeInstanceOf(weft.Channel);
  const response = await new Promise((resolve) =>
    stub["unary"]!(Buffer.from("hi"), (_error: unknown, r: unknown) => resolve(r)),
  );
  expect(String(response)).toBe("hi");
  stub.close();
});

test("getClientChannel, waitForClientReady and closeClient are about our channel", async () => {
  await using pair = await start();
  const client = new weft.Client(pair.address, weft.credentials.createInsecure());
  const channel = weft.getClientChannel(client);
  expect(channel).toBeInstanceOf(weft.Channel);
  const ready = new Promise((resolve) => weft.waitForClientReady(client, Date.now() + 5000, resolve));
  expect(await ready).toBeUndefined();
  expect(channel.getConnectivityState(false)).toBe(weft.connectivityState.READY);
  weft.closeClient(client);
  expect(channel.getConnectivityState(false)).toBe(weft.connectivityState.SHUTDOWN);
});

test("a call's host is what the server is asked for", async () => {
  await using pair = await start({ unary: (call, callback) => callback(null, Buffer.from(call.getHost())) });
  const { messages } = await pair.client.unary(Buffer.of(), { host: "other.test" });
  expect(String(messages[0])).toBe("other.test");
});

function ignore(): void {
  // Never answers.
}
