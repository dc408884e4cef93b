import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { duplexPair } from "node:stream";
import { buffer } from "node:stream/consumers";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Http2Connection } from "./connection.ts";
import { ErrorCode } from "./error.ts";
import { HeaderTemplate } from "./headers.ts";
import { connectClient, Gatherer, okHead, postHead, startEcho } from "./testing/echo.ts";

const sizes = [0, 1, 100, 16_384, 16_385, 65_535, 65_536, 300_000, 4 * 1024 * 1024];

function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + (i >> 8)) & 0xff;
  return bytes;
}

async function startNodeServer(
  onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void,
) {
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.on("error", () => undefined);
  });
  server.on("stream", onStream);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
      server.close();
    },
  };
}

function nodeEcho(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  stream.on("error", () => undefined);
  stream.respond(
    { ":status": 200, "x-path": headers[":path"], "x-token": headers["x-token"] },
    { waitForTrailers: true },
  );
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  stream.pipe(stream);
}

async function nodeClient(port: number) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  await once(session, "remoteSettings");
  return {
    session,
    request: (headers: http2.OutgoingHttpHeaders = {}, body: Buffer = Buffer.alloc(0)) => {
      const stream = session.request({ ":method": "POST", ":path": "/echo", ...headers });
      stream.end(body);
      return stream;
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

test.each(sizes)("a node:http2 client gets its %d bytes back from our server", async (size) => {
  await using server = await startEcho();
  using client = await nodeClient(server.port);
  const body = pattern(size);
  const stream = client.request({}, body);
  const trailers = once(stream, "trailers");
  expect(Buffer.compare(await buffer(stream), body)).toBe(0);
  expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
});

test.each(sizes)("our client gets its %d bytes back from a node:http2 server", async (size) => {
  using server = await startNodeServer(nodeEcho);
  using client = await connectClient(server.port);
  const body = pattern(size);
  const reply = await client.call(body).done;
  expect(reply.error).toBeUndefined();
  expect(Buffer.compare(reply.body, body)).toBe(0);
  expect(reply.trailers).toEqual(["grpc-status", "0"]);
});

test.each(sizes)("our client gets its %d bytes back from our server", async (size) => {
  await using server = await startEcho();
  using client = await connectClient(server.port);
  const body = pattern(size);
  const reply = await client.call(body).done;
  expect(reply.error).toBeUndefined();
  expect(Buffer.compare(reply.body, body)).toBe(0);
  expect(reply.trailers).toEqual(["grpc-status", "0"]);
});

test("500 streams of mixed sizes at once keep apart, between node:http2's client and our server", async () => {
  await using server = await startEcho();
  using client = await nodeClient(server.port);
  const bodies = Array.from({ length: 500 }, (_, i) => pattern((i * 977) % 20_000).fill(i & 0xff));
  const answers = await Promise.all(bodies.map((body) => buffer(client.request({}, body))));
  expect(answers.every((answer, i) => answer.equals(bodies[i] as Buffer))).toBe(true);
  expect(server.log.streamErrors).toEqual([]);
});

test("500 streams of mixed sizes at once keep apart, between our client and node:http2's server", async () => {
  using server = await startNodeServer(nodeEcho);
  using client = await connectClient(server.port);
  const bodies = Array.from({ length: 500 }, (_, i) => pattern((i * 977) % 20_000).fill(i & 0xff));
  const replies = await Promise.all(bodies.map((body) => client.call(body).done));
  expect(replies.every((reply, i) => reply.body.equals(bodies[i] as Buffer))).toBe(true);
});

test("header lists survive node's codec both ways, whatever they repeat", async () => {
  await using server = await startEcho();
  using toOurs = await nodeClient(server.port);
  const seen: http2.IncomingHttpHeaders[] = [];
  using nodeServer = await startNodeServer((stream, headers) => {
    seen.push(headers);
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  using toNode = await connectClient(nodeServer.port);
  const name = fc.constantFrom(
    "x-a",
    "x-request-id",
    "authorization",
    "user-agent",
    "grpc-timeout",
    "x-long-name-for-a-header",
  );
  const value = fc.oneof(fc.constantFrom("1", "Bearer abc", "z".repeat(300)), fc.stringMatching(/^[!-~]{1,50}$/));
  const list = fc.uniqueArray(fc.tuple(name, value), { maxLength: 6, selector: ([n]) => n });
  await fc.assert(
    fc.asyncProperty(list, async (pairs) => {
      await buffer(toOurs.request(Object.fromEntries(pairs)));
      expect(server.log.requests.at(-1)).toEqual(expect.arrayContaining(pairs.flat()));
      await toNode.call(new Uint8Array(0), pairs.flat()).done;
      expect(seen.at(-1)).toMatchObject(Object.fromEntries(pairs));
    }),
    { numRuns: 100 },
  );
});

test("a header block longer than a frame goes as HEADERS and CONTINUATION both ways", async () => {
  await using server = await startEcho();
  using client = await nodeClient(server.port);
  const long = "v".repeat(40_000);
  await buffer(client.request({ "x-long": long }));
  expect(server.log.requests[0]).toContain(long);
  let seen: string | string[] | undefined;
  using nodeServer = await startNodeServer((stream, headers) => {
    seen = headers["x-long"];
    stream.respond({ ":status": 200 }, { endStream: true });
  });
  using ours = await connectClient(nodeServer.port);
  await ours.call(new Uint8Array(0), ["x-long", long]).done;
  expect(seen).toBe(long);
});

test("a reset by node's client closes our stream with its code", async () => {
  await using server = await startEcho();
  using client = await nodeClient(server.port);
  const stream = client.session.request({ ":method": "POST", ":path": "/silent" });
  stream.on("error", () => undefined);
  // a round trip: the request is there
  await new Promise((resolve) => client.session.ping(resolve));
  stream.close(http2.constants.NGHTTP2_CANCEL);
  expect(await server.streamFailed).toMatchObject({ code: ErrorCode.CANCEL, remote: true });
});

test("our reset reaches node's server, and the connection goes on", async () => {
  const aborted = Promise.withResolvers<number | undefined>();
  using server = await startNodeServer((stream, headers) => {
    if (headers[":path"] === "/echo") return nodeEcho(stream, headers);
    stream.on("error", () => undefined);
    stream.on("close", () => aborted.resolve(stream.rstCode));
    stream.respond({ ":status": 200 });
  });
  using client = await connectClient(server.port);
  const call = client.call(
    undefined,
    [],
    new HeaderTemplate([":method", "POST", ":scheme", "http", ":path", "/hang", ":authority", "a"]),
  );
  await call.headers();
  client.connection.reset(call.stream as NonNullable<typeof call.stream>, ErrorCode.CANCEL);
  expect((await call.done).error).toMatchObject({ code: ErrorCode.CANCEL, remote: false });
  expect(await aborted.promise).toBe(ErrorCode.CANCEL);
  expect((await client.call(Buffer.from("after")).done).body.toString()).toBe("after");
});

test("informational responses are swallowed", async () => {
  using server = await startNodeServer((stream) => {
    stream.additionalHeaders({ ":status": 103, link: "</a>" });
    stream.respond({ ":status": 200, "x-final": "yes" }, { endStream: true });
  });
  using client = await connectClient(server.port);
  const reply = await client.call(new Uint8Array(0)).done;
  expect(reply.headers.slice(0, 2)).toEqual([":status", "200"]);
});

test("node's GOAWAY lets open calls finish and then closes our connection", async () => {
  const inside = Promise.withResolvers<http2.ServerHttp2Stream>();
  using server = await startNodeServer((stream) => inside.resolve(stream));
  using client = await connectClient(server.port);
  const call = client.call(new Uint8Array(0));
  const stream = await inside.promise;
  stream.session?.close();
  stream.respond({ ":status": 200 }, { endStream: true });
  expect((await call.done).error).toBeUndefined();
  expect(await client.closed).toBeUndefined();
  expect(client.connection.canOpenStream).toBe(false);
});

test("two connections of ours talk over any pair of streams", async () => {
  const [near, far] = duplexPair();
  const server: Http2Connection = new Http2Connection(far, "server", {
    onStream(stream, headers) {
      server.sendHeaders(stream, okHead, [], false);
      server.write(stream, undefined, Buffer.from(headers[headers.indexOf(":path") + 1] as string), true);
      return {
        onHeaders: () => undefined,
        onData: () => undefined,
        onWritable: () => undefined,
        onClose: () => undefined,
      };
    },
    onGoaway: () => undefined,
    onCapacity: () => undefined,
    onClose: () => undefined,
  });
  const client = new Http2Connection(near, "client", {
    onStream: () => expect.fail(),
    onGoaway: () => undefined,
    onCapacity: () => undefined,
    onClose: () => undefined,
  });
  const gatherer = new Gatherer(client);
  gatherer.stream = client.request(gatherer, postHead, [], true);
  expect((await gatherer.done).body.toString()).toBe("/echo");
  client.destroy();
  server.destroy();
});

test("our server's graceful end lets node's calls finish", async () => {
  await using server = await startEcho();
  using client = await nodeClient(server.port);
  const stream = client.session.request({ ":method": "POST", ":path": "/echo" });
  await once(stream, "response");
  const goaway = once(client.session, "goaway");
  server.log.connections[0]?.goaway();
  await goaway;
  stream.end("last words");
  expect((await buffer(stream)).toString()).toBe("last words");
  await server.connectionClosed();
  expect(server.log.connectionErrors).toEqual([]);
});
