import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { createServer, type Server } from "node:net";
import { expect, test } from "vitest";
import { type ConnectionHandler, Http2Connection } from "../http2/connection.ts";
import { ConnectionCounts } from "./call-counts.ts";
import { RpcError } from "./error.ts";
import { Metadata } from "./metadata.ts";
import { ServerCall, type ServerCallHost, type ServerMethod } from "./server-call.ts";

// node:http2's client against a ServerCall: what is on the wire, without gRPC's own client in between.

/** Answers each message as it comes; a test overrides what it is about. */
const echo: ServerMethod = {
  takesAtOnce: true,
  onStart: nothing,
  onMessage: (call, message) => void call.sendMessage(message),
  onHalfClose: (call) => call.sendStatus(0, ""),
  onWritable: nothing,
  onCancel: nothing,
};

const head = { ":method": "POST", ":path": "/a.B/C", "content-type": "application/grpc", te: "trailers" };

async function serve(method: Partial<ServerMethod> = {}, maxReceiveMessageBytes = 1000) {
  const served = { ...echo, ...method };
  const server: Server = createServer((socket) => {
    const handler: ConnectionHandler & ServerCallHost = {
      get connection() {
        return connection;
      },
      peer: { address: "peer", localAddress: "here", isSecure: false, identity: undefined, certificate: undefined },
      maxReceiveMessageBytes,
      maxSendMessageBytes: 100_000,
      compression: "identity",
      counts: new ConnectionCounts(),
      methodFor: (path) => (path === "/a.B/C" ? served : undefined),
      onStream(stream, headers, endStream) {
        const call = new ServerCall(handler, stream, headers);
        call.begin(endStream);
        return call;
      },
      onGoaway: nothing,
      onCapacity: nothing,
      onClose: nothing,
    };
    const connection: Http2Connection = new Http2Connection(socket, "server", handler);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`);
  return {
    session,
    async [Symbol.asyncDispose]() {
      session.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly body: Buffer;
}

async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const body: Buffer[] = [];
  let trailers: IncomingHttpHeaders | undefined;
  stream.on("trailers", (received: IncomingHttpHeaders) => {
    trailers = received;
  });
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  for await (const chunk of stream) body.push(chunk as Buffer);
  return { headers, trailers, body: Buffer.concat(body) };
}

function framed(...messages: string[]): Buffer {
  return Buffer.concat(
    messages.map((message) => {
      const bytes = Buffer.alloc(5 + message.length, message);
      bytes.writeUInt8(0, 0);
      bytes.writeUInt32BE(message.length, 1);
      bytes.write(message, 5);
      return bytes;
    }),
  );
}

test("a response is headers, length-prefixed messages and trailers with the status", async () => {
  await using wire = await serve();
  const stream = wire.session.request(head);
  stream.end(framed("one", "two"));
  const { headers, trailers, body } = await answerOf(stream);
  expect(headers).toMatchObject({ ":status": 200, "content-type": "application/grpc" });
  expect(body).toEqual(framed("one", "two"));
  expect(trailers).toMatchObject({ "grpc-status": "0" });
});

test("messages are found however the bytes are split", async () => {
  await using wire = await serve();
  const stream = wire.session.request(head);
  for (const byte of framed("one", "", "three")) stream.write(Buffer.of(byte));
  stream.end();
  expect((await answerOf(stream)).body).toEqual(framed("one", "", "three"));
});

test("a status before any message is a response of headers alone", async () => {
  await using wire = await serve({ onStart: (call) => call.sendStatus(5, "not 100% hére") });
  const { headers, trailers, body } = await answerOf(wire.session.request(head));
  expect(headers).toMatchObject({ ":status": 200, "grpc-status": "5", "grpc-message": "not 100%25 h%C3%A9re" });
  expect([trailers, body.length]).toEqual([undefined, 0]);
});

test("only the first status counts, and nothing is sent after it", async () => {
  await using wire = await serve({
    onHalfClose(call) {
      call.sendStatus(0, "");
      call.sendMessage(Buffer.from("late"));
      call.sendStatus(13, "late");
    },
  });
  const stream = wire.session.request(head);
  stream.end(framed("one"));
  const { trailers, body } = await answerOf(stream);
  expect(body).toEqual(framed("one"));
  expect(trailers).toMatchObject({ "grpc-status": "0" });
});

test("an error's metadata and the context's trailers go out together", async () => {
  await using wire = await serve({
    onHalfClose(call) {
      call.trailers.set("x-own", "1");
      call.sendError(new RpcError("ABORTED", "", { metadata: new Metadata({ "x-error": "2" }) }));
    },
  });
  const stream = wire.session.request(head);
  stream.end(framed("one"));
  expect((await answerOf(stream)).trailers).toMatchObject({ "grpc-status": "10", "x-own": "1", "x-error": "2" });
});

test.each([
  ["a grpc-timeout that is none", { "grpc-timeout": "soon" }, "13"],
  ["an encoding nobody knows", { "grpc-encoding": "br" }, "12"],
  ["a path nobody serves", { ":path": "/a.B/D" }, "12"],
])("%s ends the call before its method hears of it", async (_what, change, status) => {
  await using wire = await serve({ onStart: () => expect.unreachable() });
  const { headers } = await answerOf(wire.session.request({ ...head, ...change }));
  expect(headers["grpc-status"]).toBe(status);
});

test.each([
  ["a message above the limit", Buffer.of(0, 0, 0, 4, 0), "8"],
  ["a compressed message without an encoding", Buffer.of(1, 0, 0, 0, 0), "13"],
  ["a request that ends within a message", Buffer.of(0, 0, 0, 0, 9, 1), "13"],
])("%s ends the call, and tells its method", async (_what, bytes, status) => {
  const cancelled = Promise.withResolvers<string | undefined>();
  await using wire = await serve({ onCancel: (call) => cancelled.resolve(`${call.cancellation?.status}`) });
  const stream = wire.session.request(head);
  stream.end(bytes);
  const { headers } = await answerOf(stream);
  expect(headers["grpc-status"]).toBe(status);
  expect(await cancelled.promise).toBe(status);
});

test("the signal is aborted when first asked for after the caller went away", async () => {
  const late = Promise.withResolvers<AbortSignal>();
  await using wire = await serve({ onHalfClose: nothing, onCancel: (call) => late.resolve(call.signal) });
  const stream = wire.session.request(head);
  stream.on("error", nothing);
  stream.write(framed("one"));
  await once(stream.resume(), "response");
  stream.close(8);
  const signal = await late.promise;
  expect(signal.aborted).toBe(true);
  expect(signal.reason).toMatchObject({ code: "CANCELLED" });
});

test("a deadline that passes ends the call on the wire and cancels its method", async () => {
  const cancelled = Promise.withResolvers<string | undefined>();
  await using wire = await serve({ onCancel: (call) => cancelled.resolve(call.cancellation?.code) });
  const stream = wire.session.request({ ...head, "grpc-timeout": "10m" });
  const { headers } = await answerOf(stream);
  expect(headers["grpc-status"]).toBe("4");
  expect(await cancelled.promise).toBe("DEADLINE_EXCEEDED");
});

test("sending headers twice is the handler's mistake", async () => {
  const thrown = Promise.withResolvers<unknown>();
  await using wire = await serve({
    onStart(call) {
      call.sendHeaders(new Metadata({ "x-a": "1" }));
      try {
        call.sendHeaders(new Metadata());
      } catch (error) {
        thrown.resolve(error);
      }
    },
  });
  const stream = wire.session.request(head);
  stream.end();
  expect((await answerOf(stream)).headers["x-a"]).toBe("1");
  expect(await thrown.promise).toMatchObject({ message: "the response headers of /a.B/C are already sent" });
});

function nothing(): void {
  // Not what the test is about.
}
