import type { ServerHttp2Stream } from "node:http2";
import { deflateSync, gunzipSync, gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { frame, startHttp2Server } from "./testing/http2-server.ts";
import { statusOf } from "./testing/status-of.ts";

type Headers = Record<string, string | string[] | undefined>;

/** A server that answers each call, once its request is here, with `response`. */
async function answering(response: Uint8Array, encoding: string | undefined, options: ChannelOptions = {}) {
  const requests: { readonly headers: Headers; readonly bytes: Buffer }[] = [];
  const server = await startHttp2Server((stream: ServerHttp2Stream, headers) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      requests.push({ headers, bytes: Buffer.concat(chunks) });
      const named = encoding === undefined ? {} : { "grpc-encoding": encoding };
      stream.respond({ ":status": 200, "content-type": "application/grpc", ...named }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(response);
    });
  });
  const channel = new Channel(`127.0.0.1:${server.port}`, options, new SubchannelPool());
  return {
    requests,
    channel,
    client: createClient(blobService, channel),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const large = Buffer.alloc(200_000, "abcdefgh");

test("says what it can read, and compresses nothing unless told to", async () => {
  await using it = await answering(frame("ok"), undefined);
  await it.client.unary(Buffer.from("plain"));
  const [{ headers, bytes } = { headers: {}, bytes: Buffer.alloc(0) }] = it.requests;
  expect([headers["grpc-accept-encoding"], headers["grpc-encoding"]]).toEqual(["identity,deflate,gzip", undefined]);
  expect(bytes).toEqual(frame("plain"));
});

test.each([Buffer.from("small small small"), large])("a request is compressed as the channel says", async (request) => {
  await using it = await answering(frame("ok"), undefined, { compression: "gzip" });
  expect((await it.client.unary(request)).toString()).toBe("ok");
  const [{ headers, bytes } = { headers: {}, bytes: Buffer.alloc(0) }] = it.requests;
  expect([headers["grpc-encoding"], bytes[0]]).toEqual(["gzip", 1]);
  expect(gunzipSync(bytes.subarray(5)).equals(request)).toBe(true);
});

test("a call may say otherwise than its channel, and a message otherwise than its call", async () => {
  await using it = await answering(frame("ok"), undefined, { compression: "gzip" });
  await it.client.unary(Buffer.from("plain"), { compression: "identity" });
  expect(it.requests[0]?.bytes).toEqual(frame("plain"));
  await statusOf((listener) => {
    const call = it.channel.startCall(it.channel.callHead("/test.Blob/Upload"), undefined, listener, undefined);
    call.sendMessage(large);
    call.sendMessage(Buffer.from("plain"), false);
    call.halfClose();
  });
  const { bytes } = it.requests[1]!;
  const first = 5 + bytes.readUInt32BE(1);
  expect(gunzipSync(bytes.subarray(5, first)).equals(large)).toBe(true);
  expect(bytes.subarray(first)).toEqual(frame("plain"));
});

test.each([
  ["gzip", gzipSync],
  ["deflate", deflateSync],
] as const)("reads %s, and the status only after the last message", async (encoding, compress) => {
  await using it = await answering(frame(compress(large), 1), encoding);
  expect((await it.client.unary(Buffer.from("x"))).equals(large)).toBe(true);
});

test("the receive limit holds for what comes out", async () => {
  await using it = await answering(frame(gzipSync(large), 1), "gzip", { maxReceiveMessageBytes: 100_000 });
  expect((await rejection(it.client.unary(Buffer.from("x")))).code).toBe("RESOURCE_EXHAUSTED");
});

test.each([undefined, "br"])("a compressed message with encoding %s can't be read", async (encoding) => {
  await using it = await answering(frame(gzipSync(large), 1), encoding);
  expect((await rejection(it.client.unary(Buffer.from("x")))).code).toBe("INTERNAL");
});

test("a stream that is read slowly comes whole and in order", async () => {
  const messages = Array.from({ length: 20 }, (_, index) =>
    frame(gzipSync(Buffer.concat([large, Buffer.of(index)])), 1),
  );
  await using it = await answering(Buffer.concat(messages), "gzip");
  const seen: number[] = [];
  for await (const message of it.client.download(Buffer.from("x"))) {
    seen.push(message.at(-1)!);
    await new Promise(setImmediate);
  }
  expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index));
});
