// The server of gRPC's HTTP/2 negative cases (grpc/grpc, doc/http2-interop-test-descriptions.md): raw frames over a TCP
// socket, so that it can do what no HTTP/2 library lets it.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
  clientPreface,
  defaultWindowBytes,
  FrameFlag,
  FrameType,
  frameHeadBytes,
  readUint31,
  Setting,
} from "../../../packages/grpc/src/http2/frame.ts";
import { frame, type RawFrame, settings, uint32 } from "../../../packages/grpc/src/http2/testing/raw-peer.ts";
import { SimpleRequest, SimpleResponse } from "./gen/grpc/testing/messages.ts";
import { payload } from "./messages.ts";
import { behaviours, type NegativeCase } from "./negative-behaviours.ts";

/** A server that behaves as one negative case wants. */
export interface MisbehavingServer extends AsyncDisposable {
  readonly port: number;
  /** Resolves once every client is gone. */
  idle(): Promise<unknown>;
  /** What the client did wrong, as far as the server can tell; to be asked once it is gone. */
  complaints(): readonly string[];
}

export async function startMisbehavingServer(name: NegativeCase): Promise<MisbehavingServer> {
  const connections: MisbehavingConnection[] = [];
  const server = createServer((socket) => connections.push(new MisbehavingConnection(socket, name)));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const gone = () => Promise.all(connections.map((connection) => connection.closed));
  return {
    port: (server.address() as AddressInfo).port,
    idle: gone,
    complaints: () => [
      ...connections.flatMap((connection) => connection.complaints()),
      ...(behaviours[name].judge?.(connections.length) ?? []),
    ],
    async [Symbol.asyncDispose]() {
      server.close();
      for (const connection of connections) connection.destroy();
      await gone();
    },
  };
}

/** One call as the case's behaviour answers it. */
export interface Reply {
  readonly streamId: number;
  /** The response with its gRPC prefix. */
  readonly response: Buffer;
  headers(): void;
  /** Sends `bytes` in DATA frames of at most `frameBytes` with `paddingBytes` each, as the client's windows allow. */
  data(bytes: Buffer, frameBytes?: number, paddingBytes?: number): Promise<void>;
  /** Ends the call with OK. */
  trailers(): void;
  /** RST_STREAM with NO_ERROR. */
  reset(): void;
  ping(): void;
  /** GOAWAY with NO_ERROR; this stream is the last one processed. */
  goaway(): void;
}

interface Stream {
  request: Buffer[];
  windowBytes: number;
}

const pingBytes = 8;

class MisbehavingConnection {
  readonly closed: Promise<unknown>;
  readonly #socket: Socket;
  readonly #name: NegativeCase;
  readonly #streams = new Map<number, Stream>();
  readonly #complaints: string[] = [];
  #buffer = Buffer.alloc(0);
  #hasPreface = false;
  #hasSettingsAck = false;
  #windowBytes = defaultWindowBytes;
  #streamWindowBytes = defaultWindowBytes;
  #windowWaiters: (() => void)[] = [];
  #pings = 0;

  constructor(socket: Socket, name: NegativeCase) {
    this.#socket = socket;
    this.#name = name;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", () => undefined);
    socket.once("close", () => this.#wake());
    const { maxConcurrentStreams } = behaviours[name];
    this.#send(
      settings(...(maxConcurrentStreams === undefined ? [] : [Setting.maxConcurrentStreams, maxConcurrentStreams])),
    );
  }

  /** What the client of this connection did wrong. */
  complaints(): readonly string[] {
    return this.#pings === 0 ? this.#complaints : [...this.#complaints, `${this.#pings} PINGs were not acknowledged`];
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #send(bytes: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  #onData(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    if (!this.#hasPreface) {
      if (this.#buffer.length < clientPreface.length) return;
      this.#hasPreface = true;
      this.#buffer = this.#buffer.subarray(clientPreface.length);
    }
    while (this.#buffer.length >= frameHeadBytes) {
      const end = frameHeadBytes + this.#buffer.readUIntBE(0, 3);
      if (this.#buffer.length < end) return;
      const [type = 0, flags = 0] = this.#buffer.subarray(3);
      const payload = this.#buffer.subarray(frameHeadBytes, end);
      this.#onFrame({ type, flags, streamId: readUint31(this.#buffer, 5), payload });
      this.#buffer = this.#buffer.subarray(end);
    }
  }

  #onFrame({ type, flags, streamId, payload }: RawFrame): void {
    switch (type) {
      case FrameType.headers:
        this.#open(streamId);
        break;
      case FrameType.data:
        // No client here pads.
        this.#streams.get(streamId)?.request.push(Buffer.from(payload));
        if (payload.length > 0) {
          const update = uint32(payload.length);
          this.#send(
            Buffer.concat([
              frame(FrameType.windowUpdate, 0, 0, update),
              ...((flags & FrameFlag.endStream) === 0 ? [frame(FrameType.windowUpdate, 0, streamId, update)] : []),
            ]),
          );
        }
        if ((flags & FrameFlag.endStream) !== 0) this.#answer(streamId);
        break;
      case FrameType.settings:
        if ((flags & FrameFlag.ack) !== 0) this.#hasSettingsAck = true;
        else this.#takeSettings(payload);
        break;
      case FrameType.windowUpdate:
        this.#widen(streamId, readUint31(payload, 0));
        break;
      case FrameType.ping:
        if ((flags & FrameFlag.ack) === 0) this.#send(frame(FrameType.ping, FrameFlag.ack, 0, payload));
        else if (payload.equals(pingPayload)) this.#pings--;
        break;
      case FrameType.rstStream:
        this.#streams.delete(streamId);
        this.#wake();
        break;
    }
  }

  #open(streamId: number): void {
    this.#streams.set(streamId, { request: [], windowBytes: this.#streamWindowBytes });
    const { maxConcurrentStreams } = behaviours[this.#name];
    if (maxConcurrentStreams === undefined || !this.#hasSettingsAck) return;
    if (this.#streams.size > maxConcurrentStreams) this.#complaints.push(`${this.#streams.size} streams at once`);
  }

  #takeSettings(payload: Buffer): void {
    for (let at = 0; at < payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== Setting.initialWindowSize) continue;
      const growth = payload.readUInt32BE(at + 2) - this.#streamWindowBytes;
      this.#streamWindowBytes += growth;
      for (const stream of this.#streams.values()) stream.windowBytes += growth;
    }
    this.#send(frame(FrameType.settings, FrameFlag.ack, 0));
    this.#wake();
  }

  #widen(streamId: number, bytes: number): void {
    const stream = this.#streams.get(streamId);
    if (streamId === 0) this.#windowBytes += bytes;
    else if (stream !== undefined) stream.windowBytes += bytes;
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#windowWaiters.splice(0)) waiter();
  }

  #answer(streamId: number): void {
    const bytes = Buffer.concat(this.#streams.get(streamId)?.request ?? []);
    const request = SimpleRequest.decode(bytes.subarray(5));
    const message = SimpleResponse.encode({
      payload: payload(request.responseSize),
      username: "",
      oauthScope: "",
      serverId: "",
      hostname: "",
    }).finish();
    const response = Buffer.concat([Buffer.of(0), uint32(message.length), message]);
    const reply: Reply = {
      streamId,
      response,
      headers: () => this.#send(frame(FrameType.headers, FrameFlag.endHeaders, streamId, responseHeaders)),
      data: (bytes, frameBytes = 16_384, paddingBytes) => this.#sendData(streamId, bytes, frameBytes, paddingBytes),
      trailers: () => {
        this.#streams.delete(streamId);
        this.#send(frame(FrameType.headers, FrameFlag.endHeaders | FrameFlag.endStream, streamId, trailers));
      },
      reset: () => {
        this.#streams.delete(streamId);
        this.#send(frame(FrameType.rstStream, 0, streamId, uint32(0)));
      },
      ping: () => {
        this.#pings++;
        this.#send(frame(FrameType.ping, 0, 0, pingPayload));
      },
      goaway: () => this.#send(frame(FrameType.goaway, 0, 0, Buffer.concat([uint32(streamId), uint32(0)]))),
    };
    void behaviours[this.#name].answer(reply);
  }

  async #sendData(streamId: number, bytes: Buffer, frameBytes: number, paddingBytes?: number): Promise<void> {
    // The length of the padding is an octet of the payload, and counts.
    const overhead = paddingBytes === undefined ? 0 : 1 + paddingBytes;
    const padding = Buffer.alloc(paddingBytes ?? 0);
    const flags = paddingBytes === undefined ? 0 : FrameFlag.padded;
    for (let at = 0; at < bytes.length; ) {
      const stream = this.#streams.get(streamId);
      if (stream === undefined || this.#socket.destroyed) return;
      const room = Math.min(this.#windowBytes, stream.windowBytes) - overhead;
      if (room <= 0) {
        await new Promise<void>((resolve) => this.#windowWaiters.push(resolve));
        continue;
      }
      const part = bytes.subarray(at, at + Math.min(room, frameBytes));
      const body = paddingBytes === undefined ? part : Buffer.concat([Buffer.of(paddingBytes), part, padding]);
      this.#send(frame(FrameType.data, flags, streamId, body));
      at += part.length;
      this.#windowBytes -= part.length + overhead;
      stream.windowBytes -= part.length + overhead;
    }
  }
}

const pingPayload = Buffer.alloc(pingBytes, "weft");
/** `:status 200` of the static table, and literals that enter no table. */
const responseHeaders = Buffer.concat([Buffer.of(0x88), literal("content-type", "application/grpc")]);
const trailers = literal("grpc-status", "0");

function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0, name.length), Buffer.from(name), Buffer.of(value.length), Buffer.from(value)]);
}
