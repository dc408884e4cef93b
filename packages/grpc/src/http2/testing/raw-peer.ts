// A peer that speaks frames, right or wrong ones, over a real socket.
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { clientPreface, FrameFlag, FrameType, readUint31, readUint32 } from "../frame.ts";

export interface RawFrame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** A frame's bytes; `payload` may be hexadecimal. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer | string = ""): Buffer {
  const body = typeof payload === "string" ? Buffer.from(payload, "hex") : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, body]);
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** SETTINGS as flat [parameter, value, …]. */
export function settings(...parameters: number[]): Buffer {
  const payload = Buffer.alloc(parameters.length * 3);
  for (let i = 0; i < parameters.length; i += 2) {
    payload.writeUInt16BE(parameters[i] as number, i * 3);
    payload.writeUInt32BE(parameters[i + 1] as number, i * 3 + 2);
  }
  return frame(FrameType.settings, 0, 0, payload);
}

/** `GET <path>` (`/` is the static table's) on `streamId`. */
export function get(streamId: number, endStream = true, path = "/"): Buffer {
  const name =
    path === "/" ? Buffer.from("84", "hex") : Buffer.from(`\x04${String.fromCharCode(path.length)}${path}`, "latin1");
  const block = Buffer.concat([Buffer.from("8286", "hex"), name]);
  return frame(FrameType.headers, FrameFlag.endHeaders | (endStream ? FrameFlag.endStream : 0), streamId, block);
}

export class RawPeer implements Disposable {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  isClosed = false;
  #buffer = Buffer.alloc(0);
  #taken = 0;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.isClosed = true;
      this.#wake?.();
    });
  }

  /** Connects as a client; sends preface and `hello` (default: empty SETTINGS). */
  static async connect(port: number, hello: Buffer = settings()): Promise<RawPeer> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const peer = new RawPeer(socket);
    peer.send(clientPreface, hello);
    return peer;
  }

  send(...parts: Buffer[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(parts));
  }

  /** The next frame that `matches`; undefined when the socket closes before one comes. */
  async next(matches: (frame: RawFrame) => boolean): Promise<RawFrame | undefined> {
    for (;;) {
      while (this.#taken < this.frames.length) {
        const candidate = this.frames[this.#taken] as RawFrame;
        this.#taken += 1;
        if (matches(candidate)) return candidate;
      }
      if (this.isClosed) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async nextOf(type: number): Promise<RawFrame | undefined> {
    return this.next((candidate) => candidate.type === type);
  }

  /** The error code of the GOAWAY that ends the connection. */
  async goawayCode(): Promise<number | undefined> {
    const goaway = await this.nextOf(FrameType.goaway);
    return goaway === undefined ? undefined : readUint32(goaway.payload, 4);
  }

  /** A PING's round trip: everything sent before has been looked at. */
  async settle(): Promise<void> {
    this.send(frame(FrameType.ping, 0, 0, "0102030405060708"));
    await this.next((f) => f.type === FrameType.ping && (f.flags & FrameFlag.ack) !== 0);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }

  #onData(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      if (this.#buffer.length < 9) break;
      const length = this.#buffer.readUIntBE(0, 3);
      if (this.#buffer.length < 9 + length) break;
      this.frames.push({
        type: this.#buffer[3] as number,
        flags: this.#buffer[4] as number,
        streamId: readUint31(this.#buffer, 5),
        payload: this.#buffer.subarray(9, 9 + length),
      });
      this.#buffer = this.#buffer.subarray(9 + length);
    }
    this.#wake?.();
  }
}
