import { constants, type ServerHttp2Stream, type Settings } from "node:http2";
import { describe, expect, test } from "vitest";
import { Metadata } from "../rpc/metadata.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";

type OnCall = (stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>) => void;

async function served(onCall: OnCall, settings: Settings = {}, options: ChannelOptions = {}) {
  const server = await startHttp2Server(onCall, settings);
  const pool = new SubchannelPool({ random: () => 0 });
  const channel = new Channel(`127.0.0.1:${server.port}`, options, pool);
  return {
    server,
    pool,
    channel,
    client: createClient(blobService, channel),
    peer: `127.0.0.1:${server.port}`,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const request = Buffer.from("request");

describe("what a peer may answer", () => {
  test("requests carry the headers that gRPC asks for", async () => {
    let seen: Record<string, string | string[] | undefined> = {};
    await using peer = await served((stream, headers) => {
      seen = headers;
      answer(stream, frame("ok"));
    });
    await peer.client.unary(request, { timeoutMs: 5000 });
    expect(seen).toMatchObject({
      ":method": "POST",
      ":scheme": "http",
      ":path": "/test.Blob/Unary",
      ":authority": peer.peer,
      "content-type": "application/grpc",
      te: "trailers",
      "grpc-timeout": expect.stringMatching(/^(49\d\d|5000)m$/),
    });
    expect(seen["user-agent"]).toMatch(/^weft-grpc-node\//);
  });

  test("trailers-only: the status comes in the only headers", async () => {
    await using peer = await served((stream) => {
      const headers = {
        ":status": 200,
        "content-type": "application/grpc",
        "grpc-status": "7",
        "grpc-message": "no%20%E2%98%BA",
      };
      stream.respond(headers, { endStream: true });
    });
    expect(await rejection(peer.client.unary(request))).toMatchObject({ code: "PERMISSION_DENIED", details: "no ☺" });
  });

  test("an HTTP error is mapped, and says who answered what", async () => {
    await using peer = await served((stream) => {
      stream.respond({ ":status": 503, "content-type": "text/html" });
      stream.end("<h1>try later</h1>");
    });
    expect(await rejection(peer.client.unary(request))).toMatchObject({
      code: "UNAVAILABLE",
      details: `${peer.peer} answered HTTP 503 with content type "text/html" instead of a gRPC response`,
    });
  });

  test("a 200 that isn't gRPC's is UNKNOWN", async () => {
    await using peer = await served((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/json" });
      stream.end("{}");
    });
    expect((await rejection(peer.client.unary(request))).code).toBe("UNKNOWN");
  });

  test.each([
    ["no message", Buffer.alloc(0), "UNIMPLEMENTED"],
    ["two messages", Buffer.concat([frame("a"), frame("b")]), "UNIMPLEMENTED"],
    ["a message that is cut off", frame("abcdef").subarray(0, 8), "INTERNAL"],
    ["a compressed message without an encoding", frame("abc", 1), "INTERNAL"],
  ])("a unary answer of %s fails", async (_, bytes, code) => {
    await using peer = await served((stream) => answer(stream, bytes));
    expect((await rejection(peer.client.unary(request))).code).toBe(code);
  });

  test("trailers without a status are UNKNOWN, no trailers at all INTERNAL", async () => {
    await using peer = await served((stream, headers) => {
      if (headers["x-kind"] === undefined) answer(stream, frame("a"), { "x-other": "1" });
    });
    expect((await rejection(peer.client.unary(request))).code).toBe("UNKNOWN");
    await using other = await served((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      stream.end(frame("a"));
    });
    expect((await rejection(other.client.unary(request))).code).toBe("INTERNAL");
  });

  test("a reset is mapped by its code and named", async () => {
    await using peer = await served((stream) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM));
    expect(await rejection(peer.client.unary(request))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: `${peer.peer} reset the stream with ENHANCE_YOUR_CALM`,
    });
  });

  test("a connection that breaks under a call says whose and why", async () => {
    await using peer = await served((stream) => stream.session?.destroy());
    const error = await rejection(peer.client.unary(request));
    expect(error.code).toBe("UNAVAILABLE");
    expect(error.details).toContain(`connection to ${peer.peer}`);
  });

  test("a call whose deadline passes says whom it waited for", async () => {
    await using peer = await served(() => undefined);
    expect(await rejection(peer.client.unary(request, { timeoutMs: 50 }))).toMatchObject({
      code: "DEADLINE_EXCEEDED",
      details: `the deadline passed after 50 ms, waiting for ${peer.peer}`,
    });
  });

  test("a call that the peer refused unseen is started once more", async () => {
    let calls = 0;
    await using peer = await served((stream) => {
      if (++calls === 1) stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else answer(stream, frame("ok"));
    });
    expect((await peer.client.unary(request)).toString()).toBe("ok");
    expect(calls).toBe(2);
  });

  test("a call that is refused every time fails with UNAVAILABLE", async () => {
    let calls = 0;
    await using peer = await served((stream) => {
      calls++;
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
    });
    expect((await rejection(peer.client.unary(request))).code).toBe("UNAVAILABLE");
    expect(calls).toBe(2);
  });
});

describe("connections", () => {
  test("after GOAWAY old calls end where they are and new ones get a new connection", async () => {
    let held!: (stream: ServerHttp2Stream) => void;
    const isHeld = new Promise<ServerHttp2Stream>((resolve) => {
      held = resolve;
    });
    await using peer = await served((stream, headers) => {
      if (headers["x-hold"] !== undefined) held(stream);
      else answer(stream, frame("new"));
    });
    const old = peer.client.unary(request, { metadata: new Metadata({ "x-hold": "1" }) });
    await isHeld;
    const [session] = peer.server.sessions;
    const idle = peer.channel.watchConnectivityState("READY");
    session?.goaway();
    expect(await idle).toBe("IDLE");
    expect((await peer.client.unary(request)).toString()).toBe("new");
    expect(peer.server.sessions).toHaveLength(2);
    answer(await isHeld, frame("old"));
    expect((await old).toString()).toBe("old");
  });

  /** Most streams at once, of connections to a peer that allows 3 each. */
  async function crowd(options: ChannelOptions) {
    let open = 0;
    let most = 0;
    const onCall: OnCall = (stream) => {
      most = Math.max(most, ++open);
      stream.on("close", () => open--);
      setTimeout(() => answer(stream, frame("ok")), 1);
    };
    await using peer = await served(onCall, { maxConcurrentStreams: 3 }, options);
    const replies = await Promise.all(Array.from({ length: 60 }, () => peer.client.unary(request)));
    return { most, replies: replies.length, connections: peer.server.sessions.length };
  }

  test("calls beyond the peer's MAX_CONCURRENT_STREAMS wait for their turn", async () => {
    const { most, replies } = await crowd({ maxConnectionsPerAddress: 1 });
    expect(replies).toBe(60);
    expect(most).toBeLessThanOrEqual(3);
  });

  test("calls get their turn in the order they were made; those that are called off meanwhile leave the others theirs", async () => {
    const seen: number[] = [];
    const onCall: OnCall = (stream, headers) => {
      seen.push(Number(headers["x-id"]));
      answer(stream, frame("ok"));
    };
    await using peer = await served(onCall, { maxConcurrentStreams: 1 }, { maxConnectionsPerAddress: 1 });
    const made: number[] = [];
    const replies: Promise<unknown>[] = [];
    for (let id = 0; id < 200; id++) {
      const metadata = new Metadata();
      metadata.set("x-id", `${id}`);
      const controller = new AbortController();
      const reply = peer.client.unary(request, { metadata, signal: controller.signal });
      if (id % 3 === 1) {
        controller.abort();
        await rejection(reply);
      } else {
        made.push(id);
        replies.push(reply);
      }
      // The queue empties while it fills, by a half each time.
      if (id % 40 === 39) await replies[Math.floor(replies.length / 2)];
    }
    await Promise.all(replies);
    expect(seen).toEqual(made);
  });

  test("a peer that is full gets more connections, up to the limit of them", async () => {
    const { most, replies, connections } = await crowd({ maxConnectionsPerAddress: 2 });
    expect([replies, connections]).toEqual([60, 2]);
    expect(most).toBeLessThanOrEqual(6);
  });

  test("no more calls wait for their turn than the channel's limit", async () => {
    const held = Promise.withResolvers<ServerHttp2Stream>();
    let calls = 0;
    const onCall: OnCall = (stream) => {
      if (++calls === 1) held.resolve(stream);
      else answer(stream, frame("ok"));
    };
    const options = { maxConnectionsPerAddress: 1, maxQueuedCalls: 2 };
    await using peer = await served(onCall, { maxConcurrentStreams: 1 }, options);
    const first = peer.client.unary(request);
    const stream = await held.promise;
    const queued = [peer.client.unary(request), peer.client.unary(request)];
    expect(await rejection(peer.client.unary(request))).toMatchObject({
      code: "RESOURCE_EXHAUSTED",
      details: `2 calls wait for a free stream on ${peer.peer} already`,
    });
    answer(stream, frame("ok"));
    expect((await Promise.all([first, ...queued])).map(String)).toEqual(["ok", "ok", "ok"]);
  });

  test("calls that wait for their turn move to the next connection when theirs breaks", async () => {
    let calls = 0;
    const onCall: OnCall = (stream) => {
      if (++calls === 1) setImmediate(() => stream.session?.destroy());
      else answer(stream, frame("ok"));
    };
    await using peer = await served(onCall, { maxConcurrentStreams: 1 }, { maxConnectionsPerAddress: 1 });
    const first = rejection(peer.client.unary(request));
    const second = peer.client.unary(request);
    expect((await first).code).toBe("UNAVAILABLE");
    expect((await second).toString()).toBe("ok");
  });

  test("channels to one address share a connection", async () => {
    await using peer = await served((stream) => answer(stream, frame("ok")));
    await using other = new Channel(`ipv4:${peer.peer}`, {}, peer.pool);
    await peer.client.unary(request);
    await createClient(blobService, other).unary(request);
    expect([peer.server.sessions.length, peer.pool.size]).toEqual([1, 1]);
  });

  test("a stream that nobody reads holds its sender back", async () => {
    let sent = 0;
    let stalled!: () => void;
    const isStalled = new Promise<void>((resolve) => {
      stalled = resolve;
    });
    const block = frame(Buffer.alloc(64 * 1024));
    await using peer = await served((stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      const send = () => {
        for (;;) {
          sent += block.length;
          if (!stream.write(block)) break;
        }
        // The window is empty when what was written doesn't drain any more.
        const timer = setTimeout(stalled, 100);
        stream.once("drain", () => {
          clearTimeout(timer);
          send();
        });
      };
      send();
    });
    const stream = peer.client.download(request);
    await isStalled;
    expect(sent).toBeLessThan(4 * 1024 * 1024);
    await stream.return?.();
  });
});
