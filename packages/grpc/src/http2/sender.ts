// HEADERS and DATA of one connection under flow control. Over 300 lines because it also writes the six control frames, a few lines each.
import {
  defaultWindowBytes,
  FrameFlag,
  FrameType,
  frameHeadBytes,
  maxWindowBytes,
  minMaxFrameBytes,
  writeFrameHead,
  writeUint32,
} from "./frame.ts";
import { type HeaderList, type HeaderTemplate, listBytes, maxEncodedBytes, SendableCheck } from "./headers.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import type { Http2Limits } from "./options.ts";
import type { Output } from "./output.ts";
import { copyBelowBytes, SendQueue } from "./send-queue.ts";
import { type Http2Stream, StreamFlag } from "./stream.ts";

// Bodies are cut in frames of this much even when the peer takes larger ones, so that other streams get their turn.
const maxQuantumBytes = 64 * 1024;
// Pieces from here on go to the socket where they are; below, a copy is cheaper than one more buffer to write.
const writeThroughBytes = 8 * 1024;
// What is handed to the socket before looking whether it keeps up.
const burstBytes = 128 * 1024;

/** What a sender tells its connection. */
export interface SenderOwner {
  /** END_STREAM of ours is on its way. */
  onLocalEnd(stream: Http2Stream): void;
  /** Bytes of the stream wait for a window that the peer has to open. */
  onWindowBlocked(stream: Http2Stream): void;
}

/**
 * HEADERS and DATA of one connection, under the peer's windows (RFC 9113 §5.2).
 *
 * What fits is framed at once. The rest waits in its stream's queue; streams that have something to send and a window to send it
 * in take turns, a frame each. Header blocks are encoded when they are sent, never when they are queued: the dynamic table
 * follows the order of the wire.
 */
export class Sender {
  /** What the peer's connection window still takes. */
  window = defaultWindowBytes;
  /** The window new streams start with. */
  initialWindow = defaultWindowBytes;
  maxFrameBytes = minMaxFrameBytes;
  /** The largest header list that the peer takes. */
  maxListBytes = Number.POSITIVE_INFINITY;
  /** HEADERS and DATA sent since it was last set to zero. */
  framesSent = 0;
  readonly encoder: HpackEncoder;
  readonly #output: Output;
  readonly #owner: SenderOwner;
  readonly #highWaterBytes: number;
  readonly #lowWaterBytes: number;
  readonly #restCheck = new SendableCheck();
  #readyHead: Http2Stream | undefined;
  #readyTail: Http2Stream | undefined;
  #isPumping = false;
  // the last DATA frame, while more of its stream can still join it
  #openFrameStream = 0;
  #openFrameAt = 0;
  #openFrameEnd = -1;
  #openFrameFlush = -1;

  constructor(output: Output, owner: SenderOwner, limits: Http2Limits) {
    this.#output = output;
    this.#owner = owner;
    this.#highWaterBytes = limits.writeHighWaterBytes;
    this.#lowWaterBytes = limits.writeLowWaterBytes;
    this.encoder = new HpackEncoder(limits.encoderTableBytes);
  }

  /** Throws when a field can't be sent. Returns the bytes that the block takes at most. */
  assertSendable(head: HeaderTemplate | undefined, rest: HeaderList): number {
    const bytes = this.#restCheck.assertSendable(rest);
    return head === undefined ? bytes : bytes + head.maxEncodedBytes;
  }

  /** As `assertSendable`, of fields that were judged before. */
  maxBlockBytes(head: HeaderTemplate, rest: HeaderList): number {
    return head.maxEncodedBytes + maxEncodedBytes(rest);
  }

  /** Whether the peer takes a list that `assertSendable` measured (RFC 9113 §10.5.1). */
  isWithinPeerLimit(head: HeaderTemplate | undefined, rest: HeaderList, maxBytes: number): boolean {
    const fields = (rest.length + (head === undefined ? 0 : head.headers.length)) / 2;
    // what an encoding takes at most counts 12 bytes a field, the list's size counts 32
    return maxBytes + fields * 20 <= this.maxListBytes || listBytes(head, rest) <= this.maxListBytes;
  }

  /**
   * Sends a header block of fields that `assertSendable` has passed and measured; with queued data before it, it waits as the
   * stream's trailers.
   */
  sendSendable(
    s: Http2Stream,
    head: HeaderTemplate | undefined,
    rest: HeaderList,
    maxBytes: number,
    end: boolean,
  ): void {
    const { queue } = s;
    if (queue !== undefined && queue.bytes > 0) {
      if (!end) throw new Error(`stream ${s.id}: headers after data must be trailers`);
      s.trailersHead = head;
      s.trailersRest = rest;
      s.flags |= StreamFlag.endQueued;
      return;
    }
    this.#frameHeaders(s, head, rest, maxBytes, end);
  }

  #frameHeaders(
    s: Http2Stream,
    head: HeaderTemplate | undefined,
    rest: HeaderList,
    maxBytes: number,
    end: boolean,
  ): void {
    const output = this.#output;
    const spread = Math.ceil(maxBytes / this.maxFrameBytes) * frameHeadBytes;
    const at = output.reserve(frameHeadBytes + maxBytes + spread);
    const { slab } = output;
    const start = at + frameHeadBytes;
    let blockEnd = this.encoder.encode(head, rest, slab, start);
    const endStream = end ? FrameFlag.endStream : 0;
    if (blockEnd - start <= this.maxFrameBytes) {
      writeFrameHead(slab, at, blockEnd - start, FrameType.headers, endStream | FrameFlag.endHeaders, s.id);
    } else {
      blockEnd = this.#splitBlock(slab, at, blockEnd, endStream, s.id);
    }
    output.advanceControl(blockEnd);
    this.framesSent += 1;
    s.flags |= StreamFlag.headersSent;
    if (end) this.#owner.onLocalEnd(s);
  }

  /** Makes HEADERS and CONTINUATION of a block that is too long for one frame, from the back so that nothing is overwritten. */
  #splitBlock(slab: Buffer, at: number, blockEnd: number, endStream: number, id: number): number {
    const start = at + frameHeadBytes;
    const size = this.maxFrameBytes;
    const frames = Math.ceil((blockEnd - start) / size);
    for (let n = frames - 1; n >= 0; n -= 1) {
      const from = start + n * size;
      const until = Math.min(from + size, blockEnd);
      const to = from + n * frameHeadBytes;
      slab.copyWithin(to, from, until);
      const flags = (n === 0 ? endStream : 0) | (n === frames - 1 ? FrameFlag.endHeaders : 0);
      const type = n === 0 ? FrameType.headers : FrameType.continuation;
      writeFrameHead(slab, to - frameHeadBytes, until - from, type, flags, id);
    }
    return blockEnd + (frames - 1) * frameHeadBytes;
  }

  /** Sends `prefix` and `body` or queues what can't go; false above the high-water mark. */
  write(stream: Http2Stream, prefix: Uint8Array | undefined, body: Uint8Array, endStream: boolean): boolean {
    const prefixBytes = prefix === undefined ? 0 : prefix.length;
    const total = prefixBytes + body.length;
    const queue = stream.queue;
    if (queue === undefined || queue.bytes === 0) {
      if (total === 0) {
        if (endStream) this.#frameEnd(stream);
        return true;
      }
      if (
        total <= stream.sendWindow &&
        total <= this.window &&
        total <= minMaxFrameBytes &&
        this.#readyHead === undefined &&
        !this.#output.isBlocked
      ) {
        this.#frameSmall(stream, prefix, body, total, endStream);
        return true;
      }
    }
    return this.#enqueue(stream, prefix, body, endStream);
  }

  #frameSmall(
    stream: Http2Stream,
    prefix: Uint8Array | undefined,
    body: Uint8Array,
    total: number,
    end: boolean,
  ): void {
    const output = this.#output;
    stream.sendWindow -= total;
    this.window -= total;
    this.framesSent += 1;
    const flags = end ? FrameFlag.endStream : 0;
    let at = output.reserve(frameHeadBytes + total);
    const { slab } = output;
    const joins =
      this.#openFrameStream === stream.id &&
      this.#openFrameEnd === at &&
      this.#openFrameFlush === output.flushes &&
      at - this.#openFrameAt - frameHeadBytes + total <= minMaxFrameBytes;
    if (joins) {
      const frameAt = this.#openFrameAt;
      writeFrameHead(slab, frameAt, at - frameAt - frameHeadBytes + total, FrameType.data, flags, stream.id);
    } else {
      this.#openFrameStream = stream.id;
      this.#openFrameAt = at;
      this.#openFrameFlush = output.flushes;
      at = writeFrameHead(slab, at, total, FrameType.data, flags, stream.id);
    }
    if (prefix !== undefined) at = copyInto(slab, at, prefix, 0, prefix.length);
    at = copyInto(slab, at, body, 0, body.length);
    this.#openFrameEnd = end ? -1 : at;
    output.advance(at);
    if (end) this.#owner.onLocalEnd(stream);
  }

  #frameEnd(stream: Http2Stream): void {
    const output = this.#output;
    const at = output.reserve(frameHeadBytes);
    output.advanceControl(writeFrameHead(output.slab, at, 0, FrameType.data, FrameFlag.endStream, stream.id));
    this.framesSent += 1;
    this.#owner.onLocalEnd(stream);
  }

  #enqueue(stream: Http2Stream, prefix: Uint8Array | undefined, body: Uint8Array, endStream: boolean): boolean {
    stream.queue ??= new SendQueue();
    const { queue } = stream;
    if (prefix !== undefined) queue.pushCopy(prefix);
    if (body.length >= copyBelowBytes) queue.pushReference(body);
    else queue.pushCopy(body);
    if (endStream) stream.flags |= StreamFlag.endQueued;
    this.#markReady(stream);
    this.pump();
    if (queue.bytes <= this.#highWaterBytes || (stream.flags & StreamFlag.closed) !== 0) return true;
    stream.flags |= StreamFlag.needsWritable;
    return false;
  }

  #markReady(stream: Http2Stream): void {
    if ((stream.flags & StreamFlag.ready) !== 0) return;
    if (stream.sendWindow <= 0) {
      this.#owner.onWindowBlocked(stream);
      return;
    }
    stream.flags |= StreamFlag.ready;
    stream.nextReady = undefined;
    if (this.#readyTail === undefined) this.#readyHead = stream;
    else this.#readyTail.nextReady = stream;
    this.#readyTail = stream;
  }

  /** Sends what windows and socket allow, a frame a stream in turn. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    const output = this.#output;
    let burst = 0;
    while (this.#readyHead !== undefined && !output.isBlocked && !output.isClosed) {
      const stream: Http2Stream = this.#readyHead;
      const isGone = (stream.flags & StreamFlag.closed) !== 0;
      if (this.window <= 0 && !isGone) {
        this.#owner.onWindowBlocked(stream);
        break;
      }
      this.#readyHead = stream.nextReady;
      if (this.#readyHead === undefined) this.#readyTail = undefined;
      stream.nextReady = undefined;
      stream.flags &= ~StreamFlag.ready;
      if (isGone) continue;
      burst += this.#sendQueued(stream);
      if (burst < burstBytes) continue;
      burst = 0;
      output.uncork();
    }
    output.uncork();
    this.#isPumping = false;
  }

  /** Sends one frame of the stream's queue and puts the stream back in line if there is more; returns the bytes sent. */
  #sendQueued(stream: Http2Stream): number {
    const queue = stream.queue as SendQueue;
    const size = Math.min(queue.bytes, stream.sendWindow, this.window, this.maxFrameBytes, maxQuantumBytes);
    if (size <= 0) {
      this.#owner.onWindowBlocked(stream);
      return 0;
    }
    stream.sendWindow -= size;
    this.window -= size;
    this.framesSent += 1;
    stream.blockedSinceMs = -1;
    const isLast = size === queue.bytes;
    const endsHere = isLast && (stream.flags & StreamFlag.endQueued) !== 0 && stream.trailersRest === undefined;
    this.#frameQueued(stream, queue, size, endsHere ? FrameFlag.endStream : 0);
    if (endsHere) {
      this.#owner.onLocalEnd(stream);
    } else if (!isLast) {
      this.#markReady(stream);
    } else if (stream.trailersRest !== undefined) {
      const rest = stream.trailersRest;
      const head = stream.trailersHead;
      stream.trailersRest = undefined;
      this.#frameHeaders(stream, head, rest, this.assertSendable(head, rest), true);
    }
    if ((stream.flags & StreamFlag.needsWritable) !== 0 && queue.bytes <= this.#lowWaterBytes) {
      stream.flags &= ~StreamFlag.needsWritable;
      if ((stream.flags & StreamFlag.closed) === 0) stream.handler?.onWritable();
    }
    return size;
  }

  #frameQueued(stream: Http2Stream, queue: SendQueue, size: number, flags: number): void {
    const output = this.#output;
    let at = output.reserve(frameHeadBytes);
    output.advance(writeFrameHead(output.slab, at, size, FrameType.data, flags, stream.id));
    let left = size;
    while (left > 0) {
      const segment = queue.head as NonNullable<SendQueue["head"]>;
      const count = Math.min(left, segment.end - segment.start);
      const from = segment.start;
      if (count >= writeThroughBytes) {
        output.writeThrough(segment.bytes.subarray(from, from + count));
      } else {
        at = output.reserve(count);
        output.advance(copyInto(output.slab, at, segment.bytes, from, from + count));
      }
      queue.shift(count);
      left -= count;
    }
  }

  /** The peer's WINDOW_UPDATE for the connection; false when the window grows too large. */
  openConnectionWindow(increment: number): boolean {
    this.window += increment;
    if (this.window > maxWindowBytes) return false;
    if (this.#readyHead !== undefined) this.pump();
    return true;
  }

  /** The peer's WINDOW_UPDATE for a stream; false when the window grows too large. */
  openStreamWindow(stream: Http2Stream, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > maxWindowBytes) return false;
    if (stream.queuedBytes > 0) {
      this.#markReady(stream);
      this.pump();
    }
    return true;
  }

  /**
   * The peer's SETTINGS_INITIAL_WINDOW_SIZE, which moves the window of every open stream; false when one grows too large.
   * Nothing is sent before the next `pump`: the acknowledgement goes first.
   */
  setInitialWindow(size: number, streams: readonly Http2Stream[]): boolean {
    const change = size - this.initialWindow;
    this.initialWindow = size;
    for (const stream of streams) {
      stream.sendWindow += change;
      if (stream.sendWindow > maxWindowBytes) return false;
      if (stream.queuedBytes > 0) this.#markReady(stream);
    }
    return true;
  }

  sendRstStream(id: number, code: number): void {
    const output = this.#output;
    const at = output.reserve(frameHeadBytes + 4);
    writeFrameHead(output.slab, at, 4, FrameType.rstStream, 0, id);
    output.advanceControl(writeUint32(output.slab, at + frameHeadBytes, code));
  }

  sendWindowUpdate(id: number, increment: number): void {
    const output = this.#output;
    const at = output.reserve(frameHeadBytes + 4);
    writeFrameHead(output.slab, at, 4, FrameType.windowUpdate, 0, id);
    output.advanceControl(writeUint32(output.slab, at + frameHeadBytes, increment));
  }

  /** A PING whose payload is two 32-bit numbers. */
  sendPing(flags: number, high: number, low: number): void {
    const output = this.#output;
    const at = output.reserve(frameHeadBytes + 8);
    writeFrameHead(output.slab, at, 8, FrameType.ping, flags, 0);
    writeUint32(output.slab, at + frameHeadBytes, high);
    output.advanceControl(writeUint32(output.slab, at + frameHeadBytes + 4, low));
  }

  /** SETTINGS as flat [parameter, value, …]. */
  sendSettings(flags: number, parameters: readonly number[]): void {
    const output = this.#output;
    const length = parameters.length * 3;
    let at = output.reserve(frameHeadBytes + length);
    const { slab } = output;
    at = writeFrameHead(slab, at, length, FrameType.settings, flags, 0);
    for (let i = 0; i < parameters.length; i += 2) {
      slab[at] = 0;
      slab[at + 1] = parameters[i] as number;
      at = writeUint32(slab, at + 2, parameters[i + 1] as number);
    }
    output.advanceControl(at);
  }

  sendGoaway(lastStreamId: number, code: number, debug: string): void {
    const output = this.#output;
    const text = Buffer.from(debug.slice(0, 256), "latin1");
    const at = output.reserve(frameHeadBytes + 8 + text.length);
    const { slab } = output;
    writeFrameHead(slab, at, 8 + text.length, FrameType.goaway, 0, 0);
    writeUint32(slab, at + frameHeadBytes, lastStreamId);
    const end = writeUint32(slab, at + frameHeadBytes + 4, code);
    text.copy(slab, end);
    output.advanceControl(end + text.length);
  }
}

/** Copies `from[start, end)` and returns the position after it. A call into the runtime costs more than a short loop. */
function copyInto(target: Uint8Array, at: number, from: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length > 48) target.set(start === 0 && end === from.length ? from : from.subarray(start, end), at);
  else for (let i = 0; i < length; i += 1) target[at + i] = from[start + i] as number;
  return at + length;
}
