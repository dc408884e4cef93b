import { once } from "node:events";
import { connect } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import type { TlsMaterial } from "../identity/material.ts";
import { createTestAuthority, type TestAuthority } from "../identity/testing/certificates.ts";
import { bytesService } from "./testing/bytes-service.ts";
import { BytesClient, outcomeOf } from "./testing/grpc-js-client.ts";
import { type BytesHandlers, startGrpcJsServer } from "./testing/grpc-js-server.ts";

const { status } = grpc;
let authority: TestAuthority;
let serverMaterial: TlsMaterial;
let clientMaterial: TlsMaterial;

beforeAll(async () => {
  authority = await createTestAuthority();
  serverMaterial = await authority.issue({ dns: ["localhost"] });
  clientMaterial = await authority.issue({ uris: ["spiffe://cluster.local/ns/a/sa/b"] });
});

async function start(handlers: Partial<BytesHandlers> = {}, options: grpc.ServerOptions = {}) {
  const served = await startGrpcJsServer(new weft.Server(options), handlers);
  const client = BytesClient.plaintext(served.address);
  return {
    ...served,
    client,
    async [Symbol.asyncDispose]() {
      client.client.close();
      served.server.forceShutdown();
    },
  };
}

test.each([0, 1, 100, 16_384, 65_536, 1_000_000, 4 * 1024 * 1024 - 1])(
  "an unchanged unary handler serves %i bytes to a grpc-js client",
  async (size) => {
    await using pair = await start();
    const request = Buffer.alloc(size, "x");
    const { messages, status: ended } = await pair.client.unary(request);
    expect(ended.code).toBe(status.OK);
    expect(messages[0]?.equals(request)).toBe(true);
  },
);

test("a client-streaming handler reads a stream and calls back", async () => {
  await using pair = await start();
  const { call, outcome } = pair.client.collect();
  for (const text of ["a", "b", "c"]) call.write(Buffer.from(text));
  call.end();
  expect((await outcome).messages[0]?.toString()).toBe("abc");
});

test("a client-streaming handler may read with for await, to the end or not", async () => {
  const most = [3, 1];
  await using pair = await start({
    async collect(call, callback) {
      const wanted = most.shift();
      const texts: string[] = [];
      for await (const bytes of call) if (texts.push(String(bytes)) === wanted) break;
      callback(null, Buffer.from(texts.join(" ")));
    },
  });
  const collected = async () => {
    const { call, outcome } = pair.client.collect();
    for (const text of ["a", "b"]) call.write(Buffer.from(text));
    call.end();
    return String((await outcome).messages[0]);
  };
  expect(await collected()).toBe("a b");
  expect(await collected()).toBe("a");
});

test("a bidirectional handler may write after it has read with for await", async () => {
  await using pair = await start({
    async chat(call) {
      let count = 0;
      for await (const _ of call) count++;
      call.write(Buffer.from(`${count}`));
      call.end();
    },
  });
  const call = pair.client.chat();
  const outcome = outcomeOf(call);
  call.write(Buffer.from("0"));
  call.end();
  const { messages, status: ended } = await outcome;
  expect([messages.map(String), ended.code]).toEqual([["1"], status.OK]);
});

test("a server-streaming handler writes a stream", async () => {
  await using pair = await start();
  const { messages, status: ended } = await outcomeOf(pair.client.expand(Buffer.from("weft")));
  expect(Buffer.concat(messages).toString()).toBe("weft");
  expect(ended.code).toBe(status.OK);
});

test("a bidirectional handler does both", async () => {
  await using pair = await start();
  const call = pair.client.chat();
  const outcome = outcomeOf(call);
  call.write(Buffer.from("0"));
  call.write(Buffer.from("1"));
  call.end();
  const { messages, status: ended } = await outcome;
  expect(messages.map(String)).toEqual(["0", "1"]);
  expect(ended.code).toBe(status.OK);
});

test("sendMetadata, trailers of the callback, getPeer, getPath, getHost and getDeadline are as in grpc-js", async () => {
  const seen: unknown[] = [];
  await using pair = await start({
    unary(call, callback) {
      const early = new grpc.Metadata();
      early.set("x-early-bin", Buffer.of(0, 255));
      call.sendMetadata(early);
      const late = new grpc.Metadata();
      late.set("x-late", "bye");
      seen.push(call.getPath(), call.getHost(), /^127\.0\.0\.1:\d+$/.test(call.getPeer()), call.getDeadline());
      callback(null, Buffer.from(`${call.metadata.get("x-in")} ${call.metadata.get("te").length}`), late);
    },
  });
  const sent = new grpc.Metadata();
  sent.set("x-in", "text");
  const { messages, headers, status: ended } = await pair.client.unary(Buffer.of(), {}, sent);
  expect(messages[0]?.toString()).toBe("text 0");
  expect(headers?.get("x-early-bin")).toEqual([Buffer.of(0, 255)]);
  expect(ended.metadata.get("x-late")).toEqual(["bye"]);
  expect(seen).toEqual(["/test.Bytes/Unary", pair.address, true, Number.POSITIVE_INFINITY]);
});

test("trailers given to end() come with the status of a stream", async () => {
  await using pair = await start({
    expand(call) {
      const trailers = new grpc.Metadata();
      trailers.set("x-late", "bye");
      call.end(trailers);
    },
  });
  const { status: ended } = await outcomeOf(pair.client.expand(Buffer.of()));
  expect(ended.metadata.get("x-late")).toEqual(["bye"]);
});

test("an error given to a callback or emitted on a stream is the call's status", async () => {
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.of(9));
  const error = { code: status.NOT_FOUND, details: "no bäckend", metadata };
  await using pair = await start({
    unary: (_call, callback) => callback(error),
    expand(call) {
      call.write(Buffer.from("one"));
      call.emit("error", error);
    },
  });
  const unary = await pair.client.unary(Buffer.of());
  const expand = await outcomeOf(pair.client.expand(Buffer.of()));
  for (const { status: ended } of [unary, expand]) {
    expect(ended).toMatchObject({ code: status.NOT_FOUND, details: "no bäckend" });
    expect(ended.metadata.get("grpc-status-details-bin")).toEqual([Buffer.of(9)]);
  }
  expect(expand.messages.map(String)).toEqual(["one"]);
});

test("a handler that throws is UNKNOWN, without its message", async () => {
  await using pair = await start({
    unary() {
      throw new Error("password=hunter2");
    },
  });
  const { status: ended } = await pair.client.unary(Buffer.of());
  expect(ended).toMatchObject({ code: status.UNKNOWN, details: "Unknown error" });
});

test("a method of the service without a handler is UNIMPLEMENTED", async () => {
  const server = new weft.Server();
  server.addService(bytesService, {});
  const port = await new Promise<number>((resolve) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
  });
  await using client = BytesClient.plaintext(`127.0.0.1:${port}`);
  expect((await client.unary(Buffer.of())).status.code).toBe(status.UNIMPLEMENTED);
  server.forceShutdown();
});

test("a cancelled call says so to its handler", async () => {
  const cancelled = Promise.withResolvers<boolean>();
  await using pair = await start({
    expand(call) {
      call.on("cancelled", () => cancelled.resolve(call.cancelled));
      call.write(Buffer.from("first"));
    },
  });
  const call = pair.client.expand(Buffer.of());
  call.on("error", ignore).once("data", () => call.cancel());
  expect(await cancelled.promise).toBe(true);
});

test("a deadline cancels the handler, and answers the caller", async () => {
  const cancelled = Promise.withResolvers<void>();
  await using pair = await start({ unary: (call) => void call.on("cancelled", cancelled.resolve) });
  const { status: ended } = await pair.client.unary(Buffer.of(), { deadline: Date.now() + 30 });
  expect(ended.code).toBe(status.DEADLINE_EXCEEDED);
  await cancelled.promise;
});

test("write() returns false to a handler whose caller doesn't read, and drains when it does", async () => {
  const written = Promise.withResolvers<number>();
  let drained = false;
  await using pair = await start({
    expand(call) {
      let count = 1;
      while (call.write(Buffer.alloc(64 * 1024))) count++;
      written.resolve(count);
      call.once("drain", () => {
        drained = true;
        call.end();
      });
    },
  });
  const call = pair.client.expand(Buffer.of());
  const count = await written.promise;
  expect(drained).toBe(false);
  const { messages, status: ended } = await outcomeOf(call);
  expect(ended.code).toBe(status.OK);
  expect(messages.length).toBe(count);
});

test("server interceptors run outermost last, and see messages and statuses", async () => {
  const seen: string[] = [];
  const interceptor =
    (name: string): grpc.ServerInterceptor =>
    (definition, call) =>
      new grpc.ServerInterceptingCall(call, {
        start(next) {
          next({
            onReceiveMetadata(metadata, pass) {
              seen.push(`${name} ${definition.path}`);
              pass(metadata);
            },
          });
        },
        sendMessage(message, next) {
          next(Buffer.from(`${message}${name}`));
        },
        sendStatus(ended, next) {
          seen.push(`${name} ${ended.code}`);
          next(ended);
        },
      });
  await using pair = await start({}, { interceptors: [interceptor("a"), interceptor("b")] });
  const { messages } = await pair.client.unary(Buffer.from("m"));
  expect(messages[0]?.toString()).toBe("mba");
  expect(seen).toEqual(["a /test.Bytes/Unary", "b /test.Bytes/Unary", "b 0", "a 0"]);
});

test("an interceptor may refuse a call before its handler", async () => {
  const guard: grpc.ServerInterceptor = (_definition, call) =>
    new grpc.ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata() {
            call.sendStatus({ code: status.UNAUTHENTICATED, details: "who are you" });
          },
        });
      },
    });
  await using pair = await start({ unary: () => expect.unreachable() }, { interceptors: [guard] });
  expect((await pair.client.unary(Buffer.of())).status.code).toBe(status.UNAUTHENTICATED);
});

test("createSsl credentials: TLS, and mTLS with the client's certificate in the auth context", async () => {
  const pair = {
    private_key: Buffer.from(serverMaterial.privateKeyPem),
    cert_chain: Buffer.from(serverMaterial.certificateChainPem),
  };
  const credentials = grpc.ServerCredentials.createSsl(Buffer.from(authority.rootPem), [pair], true);
  const handlers: Partial<BytesHandlers> = {
    unary(call, callback) {
      const { transportSecurityType, sslPeerCertificate } = call.getAuthContext();
      callback(null, Buffer.from(`${transportSecurityType} ${sslPeerCertificate?.subjectaltname}`));
    },
  };
  await using served = await startGrpcJsServer(new weft.Server(), handlers, credentials);
  const roots = Buffer.from(authority.rootPem);
  const own = [Buffer.from(clientMaterial.privateKeyPem), Buffer.from(clientMaterial.certificateChainPem)] as const;
  const secured = grpc.credentials.createSsl(roots, ...own);
  // Ours and grpc-js's own clients, with a certificate and without.
  await using theirs = new BytesClient(new grpc.Client(`localhost:${served.port}`, secured));
  await using ours = new BytesClient(new weft.Client(`localhost:${served.port}`, secured));
  await using nameless = new BytesClient(
    new weft.Client(`localhost:${served.port}`, grpc.credentials.createSsl(roots)),
  );
  const expected = "ssl URI:spiffe://cluster.local/ns/a/sa/b";
  expect((await theirs.unary(Buffer.of())).messages[0]?.toString()).toBe(expected);
  expect((await ours.unary(Buffer.of())).messages[0]?.toString()).toBe(expected);
  expect((await nameless.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("tryShutdown calls back after running calls ended; then nobody listens", async () => {
  const entered = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  await using pair = await start({
    unary(_call, callback) {
      entered.resolve();
      void release.promise.then(() => callback(null, Buffer.from("done")));
    },
  });
  const outcome = pair.client.unary(Buffer.of());
  await entered.promise;
  const shut = new Promise<unknown>((resolve) => pair.server.tryShutdown(resolve));
  release.resolve();
  expect((await outcome).messages[0]?.toString()).toBe("done");
  expect(await shut).toBeUndefined();
  expect((await pair.client.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("drain says goodbye to open connections and leaves the port open", async () => {
  await using pair = await start();
  await pair.client.unary(Buffer.of());
  pair.server.drain(pair.address, 1000);
  expect((await pair.client.unary(Buffer.of())).status.code).toBe(status.OK);
});

test("unbind closes the port and leaves open connections", async () => {
  await using pair = await start();
  await pair.client.unary(Buffer.of());
  pair.server.unbind(pair.address);
  await expect(once(connect(pair.port, "127.0.0.1"), "connect")).rejects.toThrow("ECONNREFUSED");
  expect((await pair.client.unary(Buffer.of())).status.code).toBe(status.OK);
});

test("services may be added and removed while calls come", async () => {
  await using pair = await start();
  pair.server.removeService(bytesService);
  expect((await pair.client.unary(Buffer.of())).status.code).toBe(status.UNIMPLEMENTED);
  pair.server.addService(bytesService, {
    unary: (_call: unknown, callback: grpc.sendUnaryData<Buffer>) => callback(null, Buffer.from("new")),
  });
  expect((await pair.client.unary(Buffer.of())).messages[0]?.toString()).toBe("new");
});

test("a port that is taken is an error of bindAsync's callback", async () => {
  await using pair = await start();
  const other = new weft.Server();
  const error = await new Promise<Error | null>((resolve) => {
    other.bindAsync(pair.address, grpc.ServerCredentials.createInsecure(), resolve);
  });
  expect(error?.message).toContain("EADDRINUSE");
});

test("xds credentials without a control plane fail to bind: never plaintext by accident", async () => {
  const server = new weft.Server();
  const credentials = new weft.XdsServerCredentials(grpc.ServerCredentials.createInsecure());
  const error = await new Promise<Error | null>((resolve) => server.bindAsync("127.0.0.1:0", credentials, resolve));
  expect(error).not.toBeNull();
});

test("what isn't supported says so", () => {
  expect(() => new weft.Server().createConnectionInjector(grpc.ServerCredentials.createInsecure())).toThrow(
    "createConnectionInjector is not supported",
  );
});

test("it is a grpc-js Server to whoever asks", () => {
  expect(new weft.Server()).toBeInstanceOf(grpc.Server);
});

function ignore(): void {
  // The test looks elsewhere for how the call ended.
}
