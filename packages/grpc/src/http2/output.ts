import type { Duplex } from "node:stream";

const slabBytes = 64 * 1024;
// Enough for one write to be worth its system call, early enough for the peer to start while this side goes on.
const earlyFlushBytes = 8 * 1024;
const sparesKept = 8;
const spares: Buffer[] = [];
const empty = Buffer.allocUnsafeSlow(0);

function keepSpare(slab: Buffer): void {
  if (slab.length === slabBytes && spares.length < sparesKept) spares.push(slab);
}

/** What an output tells its connection. */
export interface OutputOwner {
  /** The socket takes bytes again after `isBlocked`. */
  onDrain(): void;
}

/**
 * The sending side of one connection's socket: frames are encoded straight into a slab, and all frames of one tick leave in one
 * write. The write waits a microtask and then a nextTick, so that what promise chains of the same tick send joins it.
 *
 *     const at = output.reserve(n);  // room for n bytes in output.slab at `at`
 *     output.advance(end);           // bytes up to `end` are final
 *
 * Slabs are shared by all connections and held only while bytes wait, so an idle connection holds none.
 */
export class Output {
  slab: Buffer = empty;
  /** Where the next frame goes. */
  at = 0;
  /** The socket's buffer is full: only what can't wait should be added. */
  isBlocked = false;
  isClosed = false;
  /** Writes that the socket has finished: grows as long as the peer takes bytes. */
  writesDone = 0;
  /** Bytes of frames other than DATA that were added while the socket was blocked. */
  controlBytes = 0;
  readonly #socket: Duplex;
  readonly #owner: OutputOwner;
  #flushedTo = 0;
  #writes = 0;
  #isScheduled = false;
  #isCorked = false;
  /** Full slabs that the socket may still read from. */
  readonly #retired: Buffer[] = [];

  constructor(socket: Duplex, owner: OutputOwner) {
    this.#socket = socket;
    this.#owner = owner;
    socket.on("drain", () => {
      this.isBlocked = false;
      this.controlBytes = 0;
      if (!this.isClosed) this.#owner.onDrain();
    });
  }

  /** Bytes that the socket has not taken yet. */
  get pendingBytes(): number {
    return this.#socket.writableLength + this.at - this.#flushedTo;
  }

  /** Makes room for `bytes` and returns where they go. */
  reserve(bytes: number): number {
    if (this.at + bytes > this.slab.length) this.#replaceSlab(bytes);
    return this.at;
  }

  /** `advance` for a frame other than DATA, which goes out even when the socket is blocked, and is counted then. */
  advanceControl(end: number): void {
    if (this.isBlocked) this.controlBytes += end - this.at;
    this.advance(end);
  }

  /** What was written up to `end` will be sent. */
  advance(end: number): void {
    this.at = end;
    if (end - this.#flushedTo >= earlyFlushBytes && !this.isBlocked) this.flush();
    else if (!this.#isScheduled) this.#schedule();
  }

  /** Whether bytes from `position` of the slab on have not left yet and may still be changed. */
  isUnsent(position: number): boolean {
    return position >= this.#flushedTo && position < this.at;
  }

  /** Sends `bytes` after what is in the slab, without copying them; they must stay as they are until written. */
  writeThrough(bytes: Uint8Array): void {
    if (!this.#isCorked) {
      this.#isCorked = true;
      this.#socket.cork();
    }
    this.flush();
    this.#write(bytes);
  }

  /** Ends a run of `writeThrough`: the socket gets all of it at once. */
  uncork(): void {
    if (!this.#isCorked) return;
    this.flush();
    this.#isCorked = false;
    this.#socket.uncork();
    this.#isTaken(this.#socket.writableNeedDrain);
  }

  /** Hands everything to the socket now. */
  flush(): void {
    const from = this.#flushedTo;
    if (from === this.at) return;
    this.#flushedTo = this.at;
    this.#write(this.slab.subarray(from, this.at));
  }

  /** Sends what is there and then ends the socket. */
  end(): void {
    if (this.isClosed) return;
    this.uncork();
    this.flush();
    this.isClosed = true;
    this.#socket.end();
  }

  #write(bytes: Uint8Array): void {
    if (this.isClosed || this.#socket.destroyed) return;
    this.#writes += 1;
    const takes = this.#socket.write(bytes, this.#onWritten);
    if (!this.#isCorked) this.#isTaken(!takes);
  }

  // write() answers by its high-water mark even when the kernel took everything at once: then there is nothing to wait for
  #isTaken(needsDrain: boolean): void {
    if (needsDrain && this.#socket.writableLength > 0) this.isBlocked = true;
  }

  readonly #onWritten = (): void => {
    this.#writes -= 1;
    this.writesDone += 1;
    if (this.#writes > 0) return;
    for (let slab = this.#retired.pop(); slab !== undefined; slab = this.#retired.pop()) keepSpare(slab);
    if (this.#flushedTo < this.at) return;
    keepSpare(this.slab);
    this.slab = empty;
    this.at = 0;
    this.#flushedTo = 0;
  };

  #replaceSlab(bytes: number): void {
    this.flush();
    if (this.slab !== empty) this.#retired.push(this.slab);
    this.slab = bytes > slabBytes ? Buffer.allocUnsafeSlow(bytes) : (spares.pop() ?? Buffer.allocUnsafeSlow(slabBytes));
    this.at = 0;
    this.#flushedTo = 0;
  }

  #schedule(): void {
    this.#isScheduled = true;
    queueMicrotask(this.#onMicrotask);
  }

  readonly #onMicrotask = (): void => {
    process.nextTick(this.#onTick);
  };

  readonly #onTick = (): void => {
    this.#isScheduled = false;
    if (!this.isClosed) this.flush();
  };
}
