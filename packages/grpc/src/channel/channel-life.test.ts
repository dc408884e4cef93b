import { expect, test } from "vitest";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";
import { statusOf } from "./testing/status-of.ts";

type OnCall = Parameters<typeof startHttp2Server>[0];
const replies: OnCall = (stream) => answer(stream, frame("ok"));
const request = Buffer.from("request");

async function served(onCall: OnCall, options: ChannelOptions = {}) {
  const server = await startHttp2Server(onCall);
  const clock = new ManualClock();
  const pool = new SubchannelPool({ clock });
  const channel = new Channel(`127.0.0.1:${server.port}`, options, pool);
  return {
    server,
    clock,
    pool,
    channel,
    client: createClient(blobService, channel),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

test("a channel without calls gives its connections back, and a call wakes it", async () => {
  await using it = await served(replies, { idleTimeoutMs: 60_000 });
  await it.client.unary(request);
  it.clock.advance(30_000);
  expect(it.channel.connectivityState()).toBe("READY");
  it.clock.advance(30_000);
  expect([it.channel.connectivityState(), it.pool.size]).toEqual(["IDLE", 0]);
  expect((await it.client.unary(request)).toString()).toBe("ok");
});

test("an open call keeps its channel awake", async () => {
  let finish!: () => void;
  const onCall: OnCall = (stream) => {
    finish = () => replies(stream, {});
  };
  await using it = await served(onCall, { idleTimeoutMs: 60_000 });
  const reply = it.client.unary(request);
  await expect.poll(() => finish).toBeTypeOf("function");
  it.clock.advance(600_000);
  finish();
  expect((await reply).toString()).toBe("ok");
});

test("closing with a grace time lets open calls end and refuses new ones", async () => {
  let finish!: () => void;
  const arrived = new Promise<void>((resolve) => {
    finish = resolve;
  });
  let end!: () => void;
  await using it = await served((stream) => {
    end = () => replies(stream, {});
    finish();
  });
  const reply = it.client.unary(request);
  await arrived;
  const closed = it.channel.close({ graceMs: 5_000 });
  expect((await rejection(it.client.unary(request))).details).toBe("the channel is closed");
  end();
  expect((await reply).toString()).toBe("ok");
  await closed;
  expect(it.pool.size).toBe(0);
});

test("what isn't over by then is cancelled", async () => {
  await using it = await served(() => undefined);
  const failure = rejection(it.client.unary(request));
  const closed = it.channel.close({ graceMs: 5_000 });
  it.clock.advance(5_000);
  expect((await failure).code).toBe("CANCELLED");
  await closed;
});

test("close resolves when the sockets have closed", async () => {
  await using it = await served(replies);
  await it.client.unary(request);
  const [subchannel] = it.channel.subchannels;
  expect(subchannel?.connections.size).toBe(1);
  await it.channel.close();
  expect(subchannel?.connections.size).toBe(0);
});

test("a call to another host has its own authority", async () => {
  const seen: unknown[] = [];
  await using it = await served((stream, headers) => {
    seen.push(headers[":authority"]);
    answer(stream, frame("ok"));
  });
  const head = it.channel.callHead("/test.Blob/Unary", "other.test");
  await statusOf((listener) => it.channel.startCall(head, undefined, listener, request));
  expect(seen).toEqual(["other.test"]);
});
