// A TCP relay between a client and a server that notes, of every message that passes, whether its compressed flag is set:
// most APIs don't tell, and the wire is what counts.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import {
  clientPreface,
  FrameFlag,
  FrameType,
  frameHeadBytes,
  readUint31,
} from "../../../packages/grpc/src/http2/frame.ts";

/** The messages of one call, in order: whether each was compressed. */
export interface TappedCall {
  readonly requests: readonly boolean[];
  readonly responses: readonly boolean[];
}

export interface WireTap extends AsyncDisposable {
  readonly port: number;
  /** The calls that passed, in the order of their first messages. */
  calls(): readonly TappedCall[];
}

/** Relays a free loopback port to `targetPort`. */
export async function startWireTap(targetPort: number): Promise<WireTap> {
  const connections: TappedConnection[] = [];
  const calls: NotedCall[] = [];
  const server = createServer((socket) => connections.push(new TappedConnection(socket, targetPort, calls)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const connection of connections) connection.destroy();
      await once(server, "close");
    },
  };
}

interface NotedCall extends TappedCall {
  readonly requests: boolean[];
  readonly responses: boolean[];
}

class TappedConnection {
  readonly #near: Socket;
  readonly #far: Socket;

  constructor(near: Socket, targetPort: number, calls: NotedCall[]) {
    const streams = new Map<number, NotedCall>();
    const callOf = (streamId: number) => {
      const known = streams.get(streamId);
      if (known !== undefined) return known;
      const call = { requests: [], responses: [] };
      streams.set(streamId, call);
      calls.push(call);
      return call;
    };
    this.#near = near;
    this.#far = connect(targetPort, "127.0.0.1");
    relay(near, this.#far, new Direction(clientPreface.length, (streamId) => callOf(streamId).requests));
    relay(this.#far, near, new Direction(0, (streamId) => callOf(streamId).responses));
  }

  destroy(): void {
    this.#near.destroy();
    this.#far.destroy();
  }
}

function relay(from: Socket, to: Socket, direction: Direction): void {
  from.on("data", (chunk: Buffer) => {
    direction.onBytes(chunk);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
}

const prefixBytes = 5;

/** What flows one way: HTTP/2 frames, of which only DATA counts, and in them messages, of which only the prefixes do. */
class Direction {
  readonly #flagsOf: (streamId: number) => boolean[];
  /** By stream: what came of a message that isn't whole yet. */
  readonly #payloads = new Map<number, Buffer>();
  #buffer = Buffer.alloc(0);
  #skip: number;

  constructor(skip: number, flagsOf: (streamId: number) => boolean[]) {
    this.#skip = skip;
    this.#flagsOf = flagsOf;
  }

  onBytes(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    if (this.#buffer.length < this.#skip) return;
    this.#buffer = this.#buffer.subarray(this.#skip);
    this.#skip = 0;
    while (this.#buffer.length >= frameHeadBytes) {
      const end = frameHeadBytes + this.#buffer.readUIntBE(0, 3);
      if (this.#buffer.length < end) return;
      if (this.#buffer[3] === FrameType.data) {
        const isPadded = ((this.#buffer[4] ?? 0) & FrameFlag.padded) !== 0;
        const start = frameHeadBytes + (isPadded ? 1 : 0);
        const padding = isPadded ? (this.#buffer[frameHeadBytes] ?? 0) : 0;
        this.#onData(readUint31(this.#buffer, 5), this.#buffer.subarray(start, end - padding));
      }
      this.#buffer = this.#buffer.subarray(end);
    }
  }

  #onData(streamId: number, bytes: Buffer): void {
    let payload = Buffer.concat([this.#payloads.get(streamId) ?? Buffer.alloc(0), bytes]);
    const flags = this.#flagsOf(streamId);
    while (payload.length >= prefixBytes) {
      const end = prefixBytes + payload.readUInt32BE(1);
      if (payload.length < end) break;
      flags.push(payload[0] === 1);
      payload = payload.subarray(end);
    }
    this.#payloads.set(streamId, payload);
  }
}
