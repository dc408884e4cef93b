// The calls of a soak: each of them goes well, or ends as it was meant to, or as a broken connection explains.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type CallOptions, type Client, Metadata, RpcError, type StatusName } from "@weft/grpc";
import type { bytesService } from "../../packages/grpc/src/grpc-js/testing/bytes-service.ts";

/** What a call has to go by. */
export interface CallEnvironment {
  readonly client: Client<typeof bytesService>;
  readonly random: () => number;
  /** Never aborts: every call listens to it, and must stop listening. */
  readonly signal: AbortSignal;
}

interface Kind {
  readonly name: string;
  /** How often it is chosen, relative to the others. */
  readonly weight: number;
  /** How it may end besides with OK and with what a broken connection or a closed channel gives. */
  readonly ends: readonly StatusName[];
  run(environment: CallEnvironment): Promise<void>;
}

const always: readonly StatusName[] = ["UNAVAILABLE", "CANCELLED"];
const timeoutMs = 5000;

/** Runs a call of a random kind; how it ended. Throws when it ended as it must not. */
export async function callAtRandom(
  environment: CallEnvironment,
): Promise<{ readonly name: string; readonly end: string }> {
  const kind = lots[upTo(environment.random, lots.length)]!;
  try {
    await kind.run(environment);
    return { name: kind.name, end: "OK" };
  } catch (error) {
    if (!(error instanceof RpcError)) throw new Error(`${kind.name}: ${String(error)}`, { cause: error });
    if (![...always, ...kind.ends].includes(error.code)) {
      throw new Error(`${kind.name} ended with ${error.message}`, { cause: error });
    }
    return { name: kind.name, end: error.code };
  }
}

const upTo = (random: () => number, limit: number) => Math.floor(random() * limit);

/** Bytes that compress, and tell one message from another. */
function bytesOf(random: () => number, maxBytes: number): Buffer {
  return Buffer.alloc(upTo(random, maxBytes), `${upTo(random, 1e9)} `);
}

function options({ signal }: CallEnvironment, metadata: Record<string, string> = {}): CallOptions {
  return { signal, timeoutMs, metadata: new Metadata({ authorization: "Bearer soak", ...metadata }) };
}

/** A signal that aborts after `delayMs`. */
function abortAfter(delayMs: number): AbortSignal {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), delayMs).unref();
  return controller.signal;
}

async function echo(environment: CallEnvironment, maxBytes: number, call: CallOptions): Promise<void> {
  const request = bytesOf(environment.random, maxBytes);
  const response = await environment.client.unary(request, call);
  assert.ok(response.equals(request), "the response isn't the request");
}

async function* parts(random: () => number, count: number, maxBytes: number, seen: Buffer[] = []) {
  for (let index = 0; index < count; index++) {
    const part = bytesOf(random, maxBytes);
    seen.push(part);
    if (random() < 0.1) await delay(1);
    yield part;
  }
}

const kinds: readonly Kind[] = [
  { name: "unary", weight: 30, ends: [], run: (environment) => echo(environment, 200, options(environment)) },
  { name: "large unary", weight: 6, ends: [], run: (environment) => echo(environment, 200_000, options(environment)) },
  {
    name: "compressed unary",
    weight: 8,
    ends: [],
    run: (environment) =>
      echo(environment, 100_000, { ...options(environment, { compress: "1" }), compression: "gzip" }),
  },
  {
    name: "cancelled unary",
    weight: 8,
    ends: [],
    run: (environment) =>
      echo(environment, 10_000, {
        ...options(environment, { "delay-ms": "20" }),
        signal: abortAfter(upTo(environment.random, 10)),
      }),
  },
  {
    name: "late unary",
    weight: 6,
    ends: ["DEADLINE_EXCEEDED"],
    run: (environment) =>
      echo(environment, 200, {
        ...options(environment, { "delay-ms": "30" }),
        timeoutMs: 1 + upTo(environment.random, 20),
      }),
  },
  {
    name: "refused unary",
    weight: 5,
    ends: ["ABORTED"],
    run: (environment) => echo(environment, 200, options(environment, { fail: "1" })),
  },
  {
    name: "server stream",
    weight: 8,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      const request = bytesOf(random, 4000);
      const count = upTo(random, 60);
      const compress: Record<string, string> = random() < 0.3 ? { compress: "1" } : {};
      let received = 0;
      for await (const response of client.expand(request, options(environment, { count: `${count}`, ...compress }))) {
        assert.ok(response.equals(request), "a response isn't the request");
        received++;
      }
      assert.equal(received, count);
    },
  },
  {
    name: "server stream, left early",
    weight: 6,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      let left = upTo(random, 20);
      // More than any window holds: the server is writing when it is left.
      for await (const _ of client.expand(Buffer.alloc(20_000), options(environment, { count: "1000" }))) {
        if (left-- === 0) break;
      }
    },
  },
  {
    name: "client stream",
    weight: 8,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      const seen: Buffer[] = [];
      const compression = random() < 0.3 ? "gzip" : "identity";
      const requests = parts(random, upTo(random, 40), 4000, seen);
      const response = await client.collect(requests, { ...options(environment), compression });
      const hash = createHash("sha256");
      for (const part of seen) hash.update(part);
      assert.ok(response.equals(hash.digest()), "not all requests arrived as they were");
    },
  },
  {
    name: "client stream that fails",
    weight: 3,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      async function* requests() {
        yield* parts(random, upTo(random, 5), 1000);
        throw new Error("as meant");
      }
      await client.collect(requests(), options(environment));
      assert.fail("a request stream that throws must cancel the call");
    },
  },
  {
    name: "ping-pong",
    weight: 8,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      const seen: Buffer[] = [];
      let received = 0;
      for await (const response of client.chat(parts(random, upTo(random, 30), 2000, seen), options(environment))) {
        assert.ok(response.equals(seen[received] ?? Buffer.of(0)), "a response isn't its request");
        received++;
      }
      assert.equal(received, seen.length);
    },
  },
  {
    name: "cancelled ping-pong",
    weight: 5,
    ends: [],
    async run(environment) {
      const { client, random } = environment;
      const signal = abortAfter(upTo(random, 15));
      const requests = parts(random, 1000, 2000);
      for await (const _ of client.chat(requests, { ...options(environment), signal })) await delay(1);
      assert.fail("a cancelled call must say so");
    },
  },
];

/** Each kind as often as it weighs. */
const lots = kinds.flatMap((kind) => Array.from({ length: kind.weight }, () => kind));
