import type { ZlibOptions } from "node:zlib";
import { lateBuiltins } from "../late-builtins.ts";
import { RpcError } from "./error.ts";

// How messages are compressed (gRPC's compression.md): each message says by its flag whether it is, the call's headers
// say how. Small ones are done at once; large ones beside the event loop, and what comes after them waits its turn.
//
//   MessageReader ── push ──▶ Decompressor ── onMessage ──▶ call         call ── push ──▶ Compressor ── onCompressed ──▶ wire

/** How a message may be encoded; the names that `grpc-encoding` uses. */
export type MessageEncoding = "identity" | "deflate" | "gzip";

/** The value of `grpc-accept-encoding`: all that this side can read. */
export const acceptedEncodings = "identity,deflate,gzip";

/** `text` where it names an encoding that this side knows. */
export function parseEncoding(text: string): MessageEncoding | undefined {
  return text === "identity" || text === "gzip" || text === "deflate" ? text : undefined;
}

/** Whether a peer with this `grpc-accept-encoding` reads `encoding`. One that sends none reads only what isn't compressed. */
export function acceptsEncoding(acceptEncoding: string | undefined, encoding: MessageEncoding): boolean {
  if (encoding === "identity") return true;
  return acceptEncoding?.split(",").some((name) => name.trim() === encoding) === true;
}

/** Takes what a Decompressor makes of a call's messages. */
export interface DecompressorSink {
  /** The next message, in the order of `push` and maybe within it; the bytes are the sink's. */
  onMessage(message: Buffer, wasCompressed: boolean): void;
  /** A message can't be decompressed, or is longer than the limit; nothing follows. */
  onUnreadable(error: RpcError): void;
  /** `isBusy` was true and is no longer: all that was pushed is out. */
  onDecompressed(): void;
}

/** Takes what a Compressor makes of a call's messages. */
export interface CompressorSink {
  /** The next message, in the order of `push` and maybe within it. */
  onCompressed(message: Uint8Array, isCompressed: boolean): void;
  /** `isBusy` was true and is no longer: all that was pushed is out. */
  onAllCompressed(): void;
}

type Done = (error: Error | null, result: Buffer) => void;

interface Codec {
  compressNow(bytes: Uint8Array): Buffer;
  compressLater(bytes: Uint8Array, done: Done): void;
  decompressNow(bytes: Uint8Array, options: ZlibOptions): Buffer;
  decompressLater(bytes: Uint8Array, options: ZlibOptions, done: Done): void;
}

type Codecs = Readonly<Record<Exclude<MessageEncoding, "identity">, Codec>>;

let codecs: Codecs | undefined;

function codecOf(encoding: Exclude<MessageEncoding, "identity">): Codec {
  codecs ??= allCodecs();
  return codecs[encoding];
}

function allCodecs(): Codecs {
  const { deflate, deflateSync, gunzip, gunzipSync, gzip, gzipSync, inflate, inflateSync } = lateBuiltins.zlib;
  return {
    gzip: { compressNow: gzipSync, compressLater: gzip, decompressNow: gunzipSync, decompressLater: gunzip },
    // "deflate" is the zlib format (RFC 1950), as HTTP means it.
    deflate: { compressNow: deflateSync, compressLater: deflate, decompressNow: inflateSync, decompressLater: inflate },
  };
}

/** What is (de)compressed on the event loop: a fraction of a millisecond at the most. */
const promptBytes = 32 * 1024;

/** A message with what is to be done with it. */
interface Waiting<Message extends Uint8Array> {
  readonly message: Message;
  readonly isCoded: boolean;
}

/**
 * Turns the messages of one direction of one call back into what they were, in order.
 *
 * What comes out is never longer than the limit, whatever goes in: a bomb is stopped there.
 */
export class Decompressor {
  readonly #codec: Codec;
  readonly #maxBytes: number;
  readonly #sink: DecompressorSink;
  readonly #waiting: Waiting<Buffer>[] = [];
  /** One message is in zlib's hands. */
  #isWorking = false;
  #isDraining = false;
  #isPaused = false;
  #isStopped = false;

  constructor(encoding: Exclude<MessageEncoding, "identity">, maxBytes: number, sink: DecompressorSink) {
    this.#codec = codecOf(encoding);
    this.#maxBytes = maxBytes;
    this.#sink = sink;
  }

  /** Whether messages that were pushed are still to come: hold back the peer, and what follows the last. */
  get isBusy(): boolean {
    return this.#isWorking || this.#waiting.length > 0;
  }

  /** Takes the next message in bytes of its own. */
  push(message: Buffer, isCompressed: boolean): void {
    if (this.isBusy || this.#isPaused) this.#waiting.push({ message, isCoded: isCompressed });
    else this.#take(message, isCompressed);
  }

  /** Gives no more messages than are on their way already: what is kept compressed takes no more memory than the peer sent. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#waiting.length > 0) this.#drain();
  }

  /** Drops all that waits: the call is over. */
  stop(): void {
    this.#isStopped = true;
    this.#waiting.length = 0;
  }

  #take(message: Buffer, isCompressed: boolean): void {
    if (!isCompressed) {
      this.#sink.onMessage(message, false);
      return;
    }
    // Nothing compressed to nothing: some peers flag empty messages too.
    if (message.length === 0) {
      this.#sink.onMessage(message, true);
      return;
    }
    const prompt = message.length > promptBytes ? undefined : this.#takeNow(message);
    if (prompt !== undefined) this.#sink.onMessage(prompt, true);
    else if (!this.#isStopped) this.#takeLater(message);
  }

  /** Undefined: it is too much for now, or the sink was told why there is no message. */
  #takeNow(message: Buffer): Buffer | undefined {
    try {
      return this.#codec.decompressNow(message, {
        maxOutputLength: atLeastOne(Math.min(promptBytes * 8, this.#maxBytes)),
      });
    } catch (error) {
      if (!isTooLarge(error) || this.#maxBytes <= promptBytes * 8) this.#refuse(error);
      return undefined;
    }
  }

  #takeLater(message: Buffer): void {
    this.#isWorking = true;
    this.#codec.decompressLater(message, { maxOutputLength: atLeastOne(this.#maxBytes) }, (error, result) => {
      if (this.#isStopped) return;
      this.#isWorking = false;
      if (error === null) this.#sink.onMessage(result, true);
      else this.#refuse(error);
      this.#drain();
    });
  }

  #drain(): void {
    // The sink may resume while it takes a message.
    if (this.#isDraining) return;
    this.#isDraining = true;
    while (!this.#isWorking && !this.#isStopped) {
      if (this.#waiting.length === 0) {
        this.#sink.onDecompressed();
        break;
      }
      if (this.#isPaused) break;
      const { message, isCoded } = this.#waiting.shift()!;
      this.#take(message, isCoded);
    }
    this.#isDraining = false;
  }

  #refuse(error: unknown): void {
    this.stop();
    this.#sink.onUnreadable(
      isTooLarge(error)
        ? new RpcError(
            "RESOURCE_EXHAUSTED",
            `received message is larger than the limit of ${this.#maxBytes} when decompressed`,
          )
        : new RpcError("INTERNAL", "a compressed message can't be decompressed", { cause: error }),
    );
  }
}

/** Compresses the messages of one direction of one call, in order. */
export class Compressor {
  readonly encoding: Exclude<MessageEncoding, "identity">;
  readonly #codec: Codec;
  readonly #sink: CompressorSink;
  readonly #waiting: Waiting<Uint8Array>[] = [];
  #isBusy = false;
  #isStopped = false;

  constructor(encoding: Exclude<MessageEncoding, "identity">, sink: CompressorSink) {
    this.encoding = encoding;
    this.#codec = codecOf(encoding);
    this.#sink = sink;
  }

  /** Whether messages that were pushed are still to go out: the end of the stream must wait for `onAllCompressed`. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** Takes the next message; `compress: false` sends it as it is, in its turn. The bytes are the compressor's until it is out. */
  push(message: Uint8Array, compress: boolean): void {
    if (this.#isBusy) this.#waiting.push({ message, isCoded: compress });
    else this.#take(message, compress);
  }

  /** Drops all that waits: the call is over. */
  stop(): void {
    this.#isStopped = true;
    this.#isBusy = false;
    this.#waiting.length = 0;
  }

  #take(message: Uint8Array, compress: boolean): void {
    if (!compress || message.length === 0) this.#sink.onCompressed(message, false);
    else if (message.length <= promptBytes) this.#sink.onCompressed(this.#codec.compressNow(message), true);
    else this.#takeLater(message);
  }

  #takeLater(message: Uint8Array): void {
    this.#isBusy = true;
    this.#codec.compressLater(message, (error, result) => {
      if (this.#isStopped) return;
      this.#isBusy = false;
      // It can only fail for want of memory; as it is, the message is still right.
      if (error === null) this.#sink.onCompressed(result, true);
      else this.#sink.onCompressed(message, false);
      while (!this.#isBusy && !this.#isStopped) {
        const next = this.#waiting.shift();
        if (next === undefined) return this.#sink.onAllCompressed();
        this.#take(next.message, next.isCoded);
      }
    });
  }
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
}

/** zlib knows no output of nothing. */
function atLeastOne(bytes: number): number {
  return Math.max(1, bytes);
}
