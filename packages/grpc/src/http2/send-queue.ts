/** Below this, bodies that have to wait are copied; from here on they are referenced until sent. */
export const copyBelowBytes = 16 * 1024;

class Segment {
  readonly bytes: Uint8Array;
  readonly isOwn: boolean;
  start: number;
  end: number;
  next: Segment | undefined;

  constructor(bytes: Uint8Array, start: number, end: number, isOwn: boolean) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.isOwn = isOwn;
  }
}

/** Bytes of one stream that could not be sent yet, in order. Small pieces are gathered in buffers of its own. */
export class SendQueue {
  bytes = 0;
  head: Segment | undefined;
  #tail: Segment | undefined;

  /** Adds the bytes of `piece` in buffers of its own. */
  pushCopy(piece: Uint8Array): void {
    const { length } = piece;
    if (length === 0) return;
    this.bytes += length;
    const tail = this.#tail;
    if (tail?.isOwn && tail.bytes.length - tail.end >= length) {
      tail.bytes.set(piece, tail.end);
      tail.end += length;
      return;
    }
    const own = Buffer.allocUnsafeSlow(length < 1024 ? 2048 : Math.max(length, copyBelowBytes));
    own.set(piece, 0);
    this.#append(new Segment(own, 0, length, true));
  }

  /** Adds `piece` itself, which must not change until it is sent. */
  pushReference(piece: Uint8Array): void {
    this.bytes += piece.length;
    this.#append(new Segment(piece, 0, piece.length, false));
  }

  /** Drops `count` bytes of the head segment, at most all of them. */
  shift(count: number): void {
    const head = this.head as Segment;
    head.start += count;
    this.bytes -= count;
    if (head.start < head.end) return;
    this.head = head.next;
    // A dead segment that is old would make the next one old, and that one the next.
    head.next = undefined;
    if (this.head === undefined) this.#tail = undefined;
  }

  #append(segment: Segment): void {
    if (this.#tail === undefined) this.head = segment;
    else this.#tail.next = segment;
    this.#tail = segment;
  }
}
