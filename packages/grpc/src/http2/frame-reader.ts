import { FrameFlag, FrameType, frameHeadBytes, readUint31 } from "./frame.ts";

const noBytes = Buffer.allocUnsafeSlow(0);

/** What the frames of a connection are given to. Each callback may stop the reader. */
export interface FrameSink {
  /** A frame begins; false refuses it, and reading stops. */
  onFrameHead(length: number, type: number, flags: number, streamId: number): boolean;
  /** A whole frame that is not DATA. The bytes are valid during the call. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void;
  /** A DATA frame begins: `length` counts for flow control, `padding` of it is no data. */
  onDataHead(flags: number, streamId: number, length: number, padding: number): void;
  /** A piece of the DATA frame that began last, as it arrives; possibly empty. */
  onDataPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void;
  /** DATA whose padding is longer than the frame. */
  onBadPadding(): void;
}

/**
 * Cuts the bytes of a connection into frames, however they arrive. DATA is handed on piece by piece without being gathered;
 * other frames, at most one at a time, are gathered when they are split.
 */
export class FrameReader {
  isStopped = false;
  readonly #sink: FrameSink;
  #held: Buffer = noBytes;
  #heldBytes = 0;
  /** Bytes of the held frame that must be there before the next step. */
  #needed = 0;
  /** The held frame's head was announced. */
  #isAnnounced = false;
  #inData = false;
  #dataLeft = 0;
  #paddingLeft = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  feed(chunk: Buffer, from: number): void {
    const end = chunk.length;
    let at = from;
    while (at < end && !this.isStopped) {
      if (this.#inData || this.#paddingLeft > 0) {
        at = this.#readData(chunk, at, end);
      } else if (this.#heldBytes > 0) {
        at = this.#gather(chunk, at, end);
      } else if (end - at < frameHeadBytes) {
        at = this.#hold(chunk, at, end, frameHeadBytes);
      } else {
        at = this.#readFrame(chunk, at, end);
      }
    }
  }

  /** Reads the frame whose whole head is at `at`. */
  #readFrame(chunk: Buffer, at: number, end: number): number {
    const length = ((chunk[at] as number) << 16) | ((chunk[at + 1] as number) << 8) | (chunk[at + 2] as number);
    const type = chunk[at + 3] as number;
    const flags = chunk[at + 4] as number;
    const streamId = readUint31(chunk, at + 5);
    if (!this.#isAnnounced && !this.#sink.onFrameHead(length, type, flags, streamId)) {
      this.isStopped = true;
      return end;
    }
    const start = at + frameHeadBytes;
    if (type === FrameType.data) {
      if ((flags & FrameFlag.padded) === 0) return this.#beginData(start, flags, streamId, length, 0, chunk);
      if (length === 0) return this.#refusePadding(end);
      if (start >= end) {
        this.#isAnnounced = true;
        return this.#hold(chunk, at, end, frameHeadBytes + 1);
      }
      const padding = (chunk[start] as number) + 1;
      if (padding > length) return this.#refusePadding(end);
      return this.#beginData(start + 1, flags, streamId, length, padding, chunk);
    }
    if (end - start < length) {
      this.#isAnnounced = true;
      return this.#hold(chunk, at, end, frameHeadBytes + length);
    }
    this.#isAnnounced = false;
    this.#sink.onFrame(type, flags, streamId, chunk, start, start + length);
    return start + length;
  }

  #refusePadding(end: number): number {
    this.isStopped = true;
    this.#sink.onBadPadding();
    return end;
  }

  #beginData(at: number, flags: number, streamId: number, length: number, padding: number, chunk: Buffer): number {
    this.#isAnnounced = false;
    this.#inData = true;
    this.#dataLeft = length - padding;
    // the length of the padding is one of its bytes, and read already
    this.#paddingLeft = padding === 0 ? 0 : padding - 1;
    this.#sink.onDataHead(flags, streamId, length, padding);
    // nothing may follow to trigger it
    if (this.#dataLeft === 0) {
      this.#inData = false;
      if (!this.isStopped) this.#sink.onDataPiece(chunk, at, at, true);
    }
    return at;
  }

  #readData(chunk: Buffer, at: number, end: number): number {
    if (!this.#inData) {
      const skipped = Math.min(this.#paddingLeft, end - at);
      this.#paddingLeft -= skipped;
      return at + skipped;
    }
    const until = Math.min(at + this.#dataLeft, end);
    this.#dataLeft -= until - at;
    const isLast = this.#dataLeft === 0;
    if (isLast) this.#inData = false;
    this.#sink.onDataPiece(chunk, at, until, isLast);
    return until;
  }

  /** Keeps the rest of the chunk until `needed` bytes from `at` on are there. */
  #hold(chunk: Buffer, at: number, end: number, needed: number): number {
    this.#needed = needed;
    this.#heldBytes = 0;
    this.#keep(chunk, at, end);
    return end;
  }

  #keep(chunk: Buffer, at: number, end: number): void {
    const size = this.#heldBytes + end - at;
    if (this.#held.length < size) {
      // grows with what has arrived, not with what was announced
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#needed, Math.max(64, size * 2)));
      this.#held.copy(larger, 0, 0, this.#heldBytes);
      this.#held = larger;
    }
    chunk.copy(this.#held, this.#heldBytes, at, end);
    this.#heldBytes = size;
  }

  #gather(chunk: Buffer, at: number, end: number): number {
    const until = Math.min(at + this.#needed - this.#heldBytes, end);
    this.#keep(chunk, at, until);
    if (this.#heldBytes < this.#needed) return until;
    const held = this.#held;
    const size = this.#heldBytes;
    this.#heldBytes = 0;
    this.#readFrame(held, 0, size);
    if (held.length > 1024 && this.#heldBytes === 0) this.#held = noBytes;
    return until;
  }
}
