import * as grpc from "@grpc/grpc-js";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { describe, expect, expectTypeOf, test } from "vitest";
import { Metadata } from "../rpc/metadata.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import type { CallOptions } from "./client-types.ts";
import { blobService, rejection } from "./testing/blob-service.ts";

type Call =
  | grpc.ServerUnaryCall<Buffer, Buffer>
  | grpc.ServerReadableStream<Buffer, Buffer>
  | grpc.ServerWritableStream<Buffer, Buffer>
  | grpc.ServerDuplexStream<Buffer, Buffer>;

/**
 * A grpc-js server of `blobService`. Unary echoes; Download sends the request as many times as metadata `x-count` says;
 * Upload answers with all requests joined; Exchange echoes each. Metadata `x-code` (with `x-details`) makes a call fail,
 * `x-hang` never end.
 */
async function startServer(port = 0) {
  const server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  const metadata: grpc.Metadata[] = [];
  const deadlines: grpc.Deadline[] = [];
  let waiters: ((event: string) => void)[] = [];
  const tell = (event: string) => {
    for (const waiter of waiters) waiter(event);
    waiters = [];
  };
  const wish = (call: Call) => {
    metadata.push(call.metadata);
    deadlines.push(call.getDeadline());
    const events: NodeJS.EventEmitter = call;
    events.on("cancelled", () => tell("cancelled"));
    if (call.metadata.get("x-hang").length > 0) {
      tell("hanging");
      return "hang";
    }
    const [code] = call.metadata.get("x-code");
    if (code === undefined) return undefined;
    const trailers = new grpc.Metadata();
    trailers.set("x-trailer", "t");
    trailers.set("x-trailer-bin", Buffer.from([1, 2, 3]));
    return { code: Number(code), details: String(call.metadata.get("x-details")[0] ?? ""), metadata: trailers };
  };
  server.addService(blobService, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      const failure = wish(call);
      if (failure === "hang") return;
      const headers = new grpc.Metadata();
      headers.set("x-header", "h");
      call.sendMetadata(headers);
      callback(failure ?? null, call.request);
    },
    Download(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      const failure = wish(call);
      if (failure === "hang") return;
      let left = Number(call.metadata.get("x-count")[0] ?? 1);
      const send = () => {
        while (left > 0) {
          left--;
          if (call.write(call.request)) continue;
          call.once("drain", send);
          return;
        }
        if (failure === undefined) call.end();
        else call.emit("error", failure);
      };
      send();
    },
    Upload(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      const failure = wish(call);
      if (failure === "hang") return;
      if (failure !== undefined) {
        callback(failure);
        return;
      }
      const parts: Buffer[] = [];
      call.on("data", (part: Buffer) => parts.push(part));
      call.on("end", () => callback(null, Buffer.concat(parts)));
    },
    Exchange(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      const failure = wish(call);
      if (failure === "hang") return;
      if (failure !== undefined) {
        call.emit("error", failure);
        return;
      }
      call.on("data", (part: Buffer) => call.write(part));
      call.on("end", () => call.end());
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) =>
      error === null ? resolve(actual) : reject(error),
    );
  });
  return {
    port: bound,
    metadata,
    deadlines,
    nextEvent: () => new Promise<string>((resolve) => waiters.push(resolve)),
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
    },
  };
}

async function started(options: ChannelOptions = {}) {
  const server = await startServer();
  const channel = new Channel(`127.0.0.1:${server.port}`, options, new SubchannelPool());
  const client = createClient(blobService, channel);
  return {
    server,
    channel,
    client,
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const withMetadata = (entries: Record<string, string>): CallOptions => ({ metadata: new Metadata(entries) });

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of stream) all.push(message);
  return all;
}

describe("a client of a grpc-js server", () => {
  test.each([0, 1, 100, 16_379, 16_384, 65_535, 70_000, 1_000_000, 4 * 1024 * 1024])(
    "echoes a message of %d bytes",
    async (size) => {
      await using peer = await started();
      const message = Buffer.alloc(size, "weft!");
      expect((await peer.client.unary(message)).equals(message)).toBe(true);
    },
  );

  test("runs many calls of mixed sizes at once", async () => {
    await using peer = await started();
    const messages = Array.from({ length: 300 }, (_, index) => Buffer.alloc((index * 7919) % 40_000, `${index} `));
    const replies = await Promise.all(messages.map((message) => peer.client.unary(message)));
    expect(replies.every((reply, index) => reply.equals(messages[index]!))).toBe(true);
  });

  test("sends metadata of both kinds, and reads headers and trailers of both kinds", async () => {
    await using peer = await started();
    const metadata = new Metadata({ "x-text": "a", "x-bytes-bin": Uint8Array.of(0, 255), "x-code": "5" });
    let headers: Metadata | undefined;
    let trailers: Metadata | undefined;
    const options: CallOptions = {
      metadata,
      onHeaders: (received) => {
        headers = received;
      },
      onTrailers: (received) => {
        trailers = received;
      },
    };
    const error = await rejection(peer.client.unary(Buffer.from("x"), options));
    expect(peer.server.metadata[0]?.get("x-text")).toEqual(["a"]);
    expect(peer.server.metadata[0]?.get("x-bytes-bin")).toEqual([Buffer.from([0, 255])]);
    expect(headers?.get("x-header")).toBe("h");
    expect([...(trailers?.get("x-trailer-bin") ?? [])]).toEqual([1, 2, 3]);
    expect(error.metadata?.get("x-trailer")).toBe("t");
  });

  test("rejects with the server's status, its details unharmed", async () => {
    await using peer = await started();
    const error = await rejection(
      peer.client.unary(Buffer.from("x"), withMetadata({ "x-code": "9", "x-details": "50 % off" })),
    );
    expect([error.code, error.status, error.details]).toEqual(["FAILED_PRECONDITION", 9, "50 % off"]);
  });

  test("a method that the server doesn't have is UNIMPLEMENTED", async () => {
    await using peer = await started();
    const client = createClient({ Missing: { ...blobService.Unary, path: "/test.Blob/Missing" } }, peer.channel);
    expect((await rejection(client.missing(Buffer.alloc(1)))).code).toBe("UNIMPLEMENTED");
  });

  test("reads a stream to its end", async () => {
    await using peer = await started();
    const all = await collect(peer.client.download(Buffer.alloc(1000, "a"), withMetadata({ "x-count": "2000" })));
    expect([all.length, all.every((message) => message.length === 1000)]).toEqual([2000, true]);
  });

  test("a stream that fails gives its messages first, then the error", async () => {
    await using peer = await started();
    const stream = peer.client.download(Buffer.from("x"), withMetadata({ "x-count": "3", "x-code": "8" }));
    const got: string[] = [];
    const reading = (async () => {
      for await (const message of stream) got.push(message.toString());
    })();
    expect((await rejection(reading)).code).toBe("RESOURCE_EXHAUSTED");
    expect(got).toEqual(["x", "x", "x"]);
  });

  test("leaving a stream early cancels the call", async () => {
    await using peer = await started();
    const cancelled = peer.server.nextEvent();
    for await (const _ of peer.client.download(Buffer.alloc(60_000), withMetadata({ "x-count": "100000" }))) break;
    expect(await cancelled).toBe("cancelled");
  });

  test("uploads a stream larger than any window", async () => {
    await using peer = await started();
    async function* requests() {
      for (let index = 0; index < 200; index++) yield Buffer.alloc(10_000, index % 256);
    }
    const reply = await peer.client.upload(requests());
    expect([reply.length, reply[0], reply.at(-1)]).toEqual([2_000_000, 0, 199]);
  });

  test("uploads nothing at all, and what an ordinary array holds", async () => {
    await using peer = await started();
    expect((await peer.client.upload([])).length).toBe(0);
    expect((await peer.client.upload([Buffer.from("a"), Buffer.from("b")])).toString()).toBe("ab");
  });

  test("a request stream that throws cancels the call, with its error as the cause", async () => {
    await using peer = await started();
    const boom = new Error("boom");
    async function* requests() {
      yield Buffer.from("a");
      throw boom;
    }
    const error = await rejection(peer.client.upload(requests()));
    expect([error.code, error.details, error.cause]).toEqual(["CANCELLED", "the request stream failed: boom", boom]);
  });

  test("a call that ends before its requests do stops taking them", async () => {
    await using peer = await started();
    let left!: () => void;
    const released = new Promise<void>((resolve) => {
      left = resolve;
    });
    async function* requests() {
      try {
        for (;;) yield Buffer.alloc(1000);
      } finally {
        left();
      }
    }
    expect((await rejection(peer.client.upload(requests(), withMetadata({ "x-code": "3" })))).code).toBe(
      "INVALID_ARGUMENT",
    );
    await released;
  });

  test("exchanges messages in turn", async () => {
    await using peer = await started();
    const sent: Buffer[] = [];
    let reply!: () => void;
    async function* requests() {
      for (let index = 0; index < 20; index++) {
        const replied = new Promise<void>((resolve) => {
          reply = resolve;
        });
        sent.push(Buffer.from(`message ${index}`));
        yield sent[index]!;
        await replied;
      }
    }
    const got: string[] = [];
    for await (const message of peer.client.exchange(requests())) {
      got.push(message.toString());
      reply();
    }
    expect(got).toEqual(sent.map(String));
  });

  test("tells the server its deadline, and ends the call when it passes", async () => {
    await using peer = await started();
    const before = Date.now();
    const cancelled = peer.server.nextEvent().then(() => peer.server.nextEvent());
    const error = await rejection(
      peer.client.unary(Buffer.alloc(1), { ...withMetadata({ "x-hang": "1" }), timeoutMs: 60 }),
    );
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(Number(peer.server.deadlines[0]) - before).toBeGreaterThanOrEqual(60);
    await cancelled;
  });

  test("a deadline in the past fails at once, without a connection", async () => {
    await using peer = await started();
    const error = await rejection(peer.client.unary(Buffer.alloc(1), { deadline: new Date(Date.now() - 1000) }));
    expect(error.code).toBe("DEADLINE_EXCEEDED");
    expect(peer.channel.connectivityState()).toBe("IDLE");
  });

  test("an AbortSignal cancels the call on both sides", async () => {
    await using peer = await started();
    const controller = new AbortController();
    const hanging = peer.server.nextEvent();
    const call = rejection(
      peer.client.unary(Buffer.alloc(1), { ...withMetadata({ "x-hang": "1" }), signal: controller.signal }),
    );
    await hanging;
    const cancelled = peer.server.nextEvent();
    controller.abort(new Error("changed my mind"));
    expect(await call).toMatchObject({ code: "CANCELLED", details: "the caller cancelled: changed my mind" });
    expect(await cancelled).toBe("cancelled");
  });

  test("a signal that was aborted before sends nothing", async () => {
    await using peer = await started();
    expect((await rejection(peer.client.unary(Buffer.alloc(1), { signal: AbortSignal.abort() }))).code).toBe(
      "CANCELLED",
    );
    expect(peer.server.metadata).toEqual([]);
  });

  test("a call made for another one has its deadline and ends with it", async () => {
    await using peer = await started();
    const parent = new AbortController();
    const hanging = peer.server.nextEvent();
    const deadline = new Date(Date.now() + 20_000);
    const options = { ...withMetadata({ "x-hang": "1" }), propagateFrom: { deadline, signal: parent.signal } };
    const call = rejection(peer.client.unary(Buffer.alloc(1), options));
    await hanging;
    expect(Math.abs(Number(peer.server.deadlines[0]) - deadline.getTime())).toBeLessThan(1000);
    parent.abort();
    expect((await call).code).toBe("CANCELLED");
  });

  test("refuses a response larger than its limit", async () => {
    await using peer = await started({ maxReceiveMessageBytes: 1000 });
    expect((await peer.client.unary(Buffer.alloc(1000))).length).toBe(1000);
    const error = await rejection(peer.client.unary(Buffer.alloc(1001)));
    expect([error.code, error.details]).toEqual([
      "RESOURCE_EXHAUSTED",
      "received message of 1001 bytes is larger than the limit of 1000",
    ]);
  });

  test("connects again after the server restarted, and says why a call in between failed", async () => {
    const pool = new SubchannelPool({ random: () => 0 });
    const first = await startServer();
    await using channel = new Channel(`127.0.0.1:${first.port}`, { initialBackoffMs: 50 }, pool);
    const client = createClient(blobService, channel);
    await client.unary(Buffer.alloc(1));
    const hanging = first.nextEvent();
    const broken = rejection(client.unary(Buffer.alloc(1), withMetadata({ "x-hang": "1" })));
    await hanging;
    await first[Symbol.asyncDispose]();
    expect((await broken).code).toMatch(/UNAVAILABLE|CANCELLED/);
    const refused = await rejection(client.unary(Buffer.alloc(1)));
    expect(refused).toMatchObject({ code: "UNAVAILABLE", details: `connect ECONNREFUSED 127.0.0.1:${first.port}` });
    await using second = await startServer(first.port);
    expect((await client.unary(Buffer.from("again"), { waitForReady: true, timeoutMs: 10_000 })).toString()).toBe(
      "again",
    );
    expect(second.metadata).toHaveLength(1);
  });

  test("closing the channel ends its calls and refuses new ones", async () => {
    await using peer = await started();
    const hanging = peer.server.nextEvent();
    const open = rejection(peer.client.unary(Buffer.alloc(1), withMetadata({ "x-hang": "1" })));
    await hanging;
    await peer.channel.close();
    expect(await open).toMatchObject({ code: "CANCELLED", details: "the channel was closed" });
    expect(await rejection(peer.client.unary(Buffer.alloc(1)))).toMatchObject({ code: "UNAVAILABLE" });
    expect(peer.channel.connectivityState()).toBe("SHUTDOWN");
  });
});

test("types follow the definition, ts-proto's and grpc-js's", () => {
  const echo = createClient(EchoTestServiceDefinition, "ipv4:127.0.0.1:1");
  expectTypeOf(echo.echo).parameter(0).toEqualTypeOf<{ message: string }>();
  expectTypeOf(echo.echo).returns.toEqualTypeOf<Promise<{ message: string }>>();
  const blob = createClient(blobService, "ipv4:127.0.0.1:1");
  expectTypeOf(blob.unary).returns.toEqualTypeOf<Promise<Buffer>>();
  expectTypeOf(blob.exchange).returns.toExtend<AsyncIterable<Buffer>>();
  expectTypeOf(blob.upload).parameter(0).toEqualTypeOf<AsyncIterable<Buffer> | Iterable<Buffer>>();
  expect(Object.keys(blob)).toEqual(["unary", "download", "upload", "exchange"]);
});
