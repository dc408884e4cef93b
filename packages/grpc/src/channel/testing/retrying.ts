import type { ServerHttp2Stream } from "node:http2";
import { SubchannelPool } from "../../subchannel/subchannel-pool.ts";
import { ManualClock } from "../../subchannel/testing/manual-clock.ts";
import { Channel } from "../channel.ts";
import type { ChannelOptions } from "../channel-options.ts";
import { createClient } from "../client.ts";
import { blobService } from "./blob-service.ts";
import { answer, frame, startHttp2Server } from "./http2-server.ts";

/** What a server does with one attempt. */
export type Reaction = (stream: ServerHttp2Stream) => void;

/** Ends a call with a status and no message. */
export function fails(status: number, trailers: Record<string, string> = {}): Reaction {
  return (stream) => {
    const headers = { ":status": 200, "content-type": "application/grpc", "grpc-status": `${status}`, ...trailers };
    stream.respond(headers, { endStream: true });
  };
}

/** Answers, once the request is here, with all of it. */
export const echoes: Reaction = (stream) => {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  stream.on("end", () => answer(stream, frame(Buffer.concat(chunks).toString("latin1").replaceAll("\0", ""))));
};

/** Never answers. */
export const hangs: Reaction = (stream) => {
  stream.resume();
};

/** A service config with one policy for all methods. */
export function configFor(policy: object, others: object = {}): string {
  return JSON.stringify({ methodConfig: [{ name: [{}], ...policy }], ...others });
}

/** A retry policy: three attempts, 100 ms and 200 ms apart, after UNAVAILABLE. */
export const retryPolicy = {
  maxAttempts: 3,
  initialBackoff: "0.1s",
  maxBackoff: "10s",
  backoffMultiplier: 2,
  retryableStatusCodes: ["UNAVAILABLE"],
};

/** A client of a server that reacts to attempt after attempt as told, and to further ones as to the last. */
export async function attempted(reactions: readonly Reaction[], options: ChannelOptions) {
  const attempts: string[] = [];
  let observers: (() => void)[] = [];
  const cancelled: number[] = [];
  const server = await startHttp2Server((stream, headers) => {
    const index = attempts.push(`${headers["grpc-previous-rpc-attempts"] ?? ""}`) - 1;
    stream.on("close", () => {
      if (stream.rstCode === 8) cancelled.push(index);
      tell();
    });
    reactions[Math.min(index, reactions.length - 1)]!(stream);
    tell();
  });
  const tell = () => {
    for (const observer of observers.splice(0)) observer();
  };
  const clock = new ManualClock();
  const pool = new SubchannelPool({ clock, random: () => 0.5 });
  const channel = new Channel(`127.0.0.1:${server.port}`, { idleTimeoutMs: 0, ...options }, pool);
  return {
    /** Of each attempt, the `grpc-previous-rpc-attempts` that it came with. */
    attempts,
    /** Which of them the client cancelled. */
    cancelled,
    clock,
    channel,
    client: createClient(blobService, channel),
    /** Resolves once `isTrue`, looked at after each attempt's beginning and end. */
    async until(isTrue: () => boolean) {
      while (!isTrue()) await new Promise<void>((resolve) => observers.push(resolve));
    },
    async [Symbol.asyncDispose]() {
      observers = [];
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Resolves once a timer of `clock` is due in `ms`; looked at every turn of the event loop. */
export async function timerOf(clock: ManualClock, ms: number): Promise<void> {
  while (!clock.pendingMs.some((pending) => Math.abs(pending - ms) < 1e-6)) await new Promise(setImmediate);
}
