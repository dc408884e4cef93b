import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { Http2Connection } from "./connection.ts";
import { SocketReader } from "./socket-reader.ts";
import { Gatherer, okTrailers, postHead, startEcho } from "./testing/echo.ts";

function pattern(size: number, seed: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + seed + (i >> 8)) & 0xff;
  return bytes;
}

/** A client whose socket reads into the shared buffer; the connection comes `late`, when bytes are there already. */
async function open(port: number, late: boolean) {
  const reader = new SocketReader();
  const socket = connect({ port, host: "127.0.0.1", onread: reader.onread });
  await once(socket, "connect");
  while (late && socket.bytesRead === 0) await new Promise((resolve) => setImmediate(resolve));
  const ready = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<unknown>();
  const connection = new Http2Connection(
    socket,
    "client",
    {
      onStream() {
        throw new Error("a client gets no requests");
      },
      onGoaway: () => undefined,
      onCapacity: () => ready.resolve(),
      onClose: (error) => closed.resolve(error),
    },
    { reader },
  );
  await ready.promise;
  return { connection, closed: closed.promise, [Symbol.dispose]: () => socket.destroy() };
}

function echo(connection: Http2Connection, body: Buffer) {
  const call = new Gatherer(connection);
  call.stream = connection.request(call, postHead, [], false);
  connection.write(call.stream, undefined, body, true);
  return call.done;
}

test("two sockets that share a buffer keep their bytes apart", async () => {
  await using server = await startEcho();
  using one = await open(server.port, false);
  using other = await open(server.port, true);
  const bodies = Array.from({ length: 20 }, (_, i) => pattern([100, 70_000, 1_000_000][i % 3] as number, i));
  const replies = await Promise.all(bodies.map((body, i) => echo((i % 2 === 0 ? one : other).connection, body)));
  replies.forEach((reply, i) => {
    expect(reply.error).toBeUndefined();
    expect(reply.trailers).toEqual(okTrailers.headers);
    expect(reply.body.equals(bodies[i] as Buffer)).toBe(true);
  });
});

test("a peer that closes is heard", async () => {
  await using server = await startEcho();
  using ours = await open(server.port, false);
  server.log.connections[0]?.goaway();
  expect(await ours.closed).toBeUndefined();
});
