// The global `Buffer` is an accessor, which optimised code calls each time.
import { Buffer } from "node:buffer";
import type { Decompressor } from "./compression.ts";
import { RpcError } from "./error.ts";

/** The length of what stands before each message: a flag and a 32-bit length (PROTOCOL-HTTP2, "Length-Prefixed-Message"). */
export const prefixBytes = 5;

/** The receive limit where none is set: 4 MiB, as in every gRPC. */
export const defaultMaxReceiveMessageBytes = 4 * 1024 * 1024;

const prefix = Buffer.alloc(prefixBytes);

/** The prefix of a message. Valid until the next call: the connection copies it within `write`. */
export function messagePrefix(length: number, isCompressed = false): Uint8Array {
  prefix[0] = isCompressed ? 1 : 0;
  prefix[1] = length >>> 24;
  prefix[2] = (length >>> 16) & 0xff;
  prefix[3] = (length >>> 8) & 0xff;
  prefix[4] = length & 0xff;
  return prefix;
}

/** Where a MessageReader puts what it finds; implemented by the call objects of both sides. */
export interface MessageSink {
  /** One whole message in bytes of its own: the sink may keep and alias them. */
  onMessage(message: Buffer): void;
  /** The stream can't be read any further; the reader drops all that follows. */
  onUnreadable(error: RpcError): void;
}

/**
 * The message in `chunk[start, end)` where that is exactly one, uncompressed and within the limit, as most are; undefined
 * leaves it to a MessageReader. The bytes are the caller's.
 */
export function wholeMessage(chunk: Uint8Array, start: number, end: number, maxBytes: number): Buffer | undefined {
  const length = end - start - prefixBytes;
  if (length < 0 || length > maxBytes || chunk[start] !== 0 || messageLength(chunk, start) !== length) return undefined;
  const message = Buffer.allocUnsafe(length);
  copyBytes(chunk, start + prefixBytes, message, 0, length);
  return message;
}

function messageLength(bytes: Uint8Array, at: number): number {
  return bytes[at + 1]! * 0x1000000 + ((bytes[at + 2]! << 16) | (bytes[at + 3]! << 8) | bytes[at + 4]!);
}

/**
 * Cuts messages out of a stream's bytes, however they are split.
 *
 * Copies each message once, out of the connection's buffer, which is reused: decoders may alias what they get.
 * A message announced longer than the limit is refused at its prefix, before any of it is kept. What an announcement alone may
 * allocate is what the peer may send unasked (`windowBytes`); the rest follows the bytes that come. With a decompressor all
 * messages go through that, to its own sink; without one a compressed message ends the stream with INTERNAL.
 */
export class MessageReader {
  readonly #sink: MessageSink;
  readonly #maxBytes: number;
  readonly #windowBytes: number;
  readonly #decompressor: Decompressor | undefined;
  /** The message being filled; undefined between messages. */
  #message: Buffer | undefined;
  #isCompressed = false;
  #length = 0;
  #filled = 0;
  /** A prefix that was split, and how much of it is here. */
  #prefix: Buffer | undefined;
  #prefixFilled = 0;
  #stopped = false;

  constructor(sink: MessageSink, maxBytes: number, windowBytes: number, decompressor?: Decompressor) {
    this.#sink = sink;
    this.#maxBytes = maxBytes;
    this.#windowBytes = windowBytes;
    this.#decompressor = decompressor;
  }

  /** Whether a message has begun that isn't complete. */
  get isInMessage(): boolean {
    return this.#message !== undefined || this.#prefixFilled > 0;
  }

  /** Whether whole messages are still being decompressed. */
  get isBusy(): boolean {
    return this.#decompressor?.isBusy === true;
  }

  /** Drops all that follows: the call is over. */
  stop(): void {
    this.#stopped = true;
    this.#message = undefined;
    this.#decompressor?.stop();
  }

  /** Takes `chunk[start, end)`; the sink is called within. */
  push(chunk: Uint8Array, start: number, end: number): void {
    let at = start;
    while (at < end && !this.#stopped) {
      at = this.#message === undefined ? this.#readPrefix(chunk, at, end) : this.#fill(chunk, at, end);
    }
  }

  #readPrefix(chunk: Uint8Array, at: number, end: number): number {
    if (this.#prefixFilled === 0 && end - at >= prefixBytes) {
      this.#begin(chunk, at);
      const next = at + prefixBytes;
      // The body is mostly here too; an empty message has none to wait for.
      return this.#message === undefined ? next : this.#fill(chunk, next, end);
    }
    this.#prefix ??= Buffer.allocUnsafe(prefixBytes);
    while (at < end && this.#prefixFilled < prefixBytes) this.#prefix[this.#prefixFilled++] = chunk[at++]!;
    if (this.#prefixFilled < prefixBytes) return at;
    this.#prefixFilled = 0;
    this.#begin(this.#prefix, 0);
    return this.#message === undefined ? at : this.#fill(chunk, at, end);
  }

  #begin(bytes: Uint8Array, at: number): void {
    const flag = bytes[at]!;
    const length = messageLength(bytes, at);
    if (flag > 1 || (flag === 1 && this.#decompressor === undefined)) {
      const what =
        flag === 1 ? "a compressed message, without an encoding to decompress it" : `the message flag ${flag}`;
      this.#refuse(new RpcError("INTERNAL", `the peer sent ${what}`));
    } else if (length > this.#maxBytes) {
      this.#refuse(
        new RpcError(
          "RESOURCE_EXHAUSTED",
          `received message of ${length} bytes is larger than the limit of ${this.#maxBytes}`,
        ),
      );
    } else {
      this.#message = Buffer.allocUnsafe(Math.min(length, this.#windowBytes));
      this.#isCompressed = flag === 1;
      this.#length = length;
      this.#filled = 0;
    }
  }

  #fill(chunk: Uint8Array, at: number, end: number): number {
    const count = Math.min(this.#length - this.#filled, end - at);
    let message = this.#message!;
    if (this.#filled + count > message.length) message = this.#grow(message, this.#filled + count);
    copyBytes(chunk, at, message, this.#filled, count);
    this.#filled += count;
    if (this.#filled === this.#length) {
      this.#message = undefined;
      if (this.#decompressor === undefined) this.#sink.onMessage(message);
      else this.#decompressor.push(message, this.#isCompressed);
    }
    return at + count;
  }

  #grow(message: Buffer, needed: number): Buffer {
    const larger = Buffer.allocUnsafe(Math.min(this.#length, Math.max(needed, message.length * 4)));
    message.copy(larger, 0, 0, this.#filled);
    this.#message = larger;
    return larger;
  }

  #refuse(error: RpcError): void {
    this.stop();
    this.#sink.onUnreadable(error);
  }
}

/** A call into the runtime costs more than copying a few bytes by hand. */
const shortCopy = 48;

function copyBytes(from: Uint8Array, at: number, to: Uint8Array, toAt: number, count: number): void {
  if (count > shortCopy) {
    Buffer.prototype.copy.call(from, to, toAt, at, at + count);
  } else {
    for (let index = 0; index < count; index++) to[toAt + index] = from[at + index]!;
  }
}
