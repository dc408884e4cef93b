import { Socket } from "node:net";
import type { Duplex } from "node:stream";

const slabBytes = 64 * 1024;
// A tick's first bytes leave early, so that the peer works while this side goes on, if it is a quick one; then ever more of them
// go at once, for the system calls' sake.
const firstFlushBytes = 2 * 1024;
const largestFlushBytes = 16 * 1024;
const sparesKept = 8;
const spares: Buffer[] = [];
const empty = Buffer.allocUnsafeSlow(0);

function keepSpare(slab: Buffer): void {
  if (slab.length === slabBytes && spares.length < sparesKept) spares.push(slab);
}

// Outputs of all connections that have something to send when the tick ends. The write waits a microtask and then a nextTick, so
// that what promise chains of the same tick send joins it.
let scheduled: Output[] = [];

function onMicrotask(): void {
  process.nextTick(onTick);
}

function onTick(): void {
  const outputs = scheduled;
  scheduled = [];
  for (const output of outputs) output.onTick();
}

/** What an output tells its connection. */
export interface OutputOwner {
  /** Whether the peer takes so long that it needn't begin early. */
  readonly isPeerSlow: boolean;
  /** All that was made in this turn of the event loop is with the socket. */
  onTurnSent(): void;
  /** The socket takes no more bytes for now: `isBlocked`. */
  onBlocked(): void;
  /** The socket takes bytes again after `isBlocked`. */
  onDrain(): void;
}

/**
 * The sending side of one connection's socket: frames are encoded straight into a slab, and all frames of one tick leave in few
 * writes, mostly one.
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
  /** How often bytes were handed to the socket: while it stays the same, all of the slab from the last `advance`s is still here. */
  flushes = 0;
  readonly #socket: Duplex;
  readonly #owner: OutputOwner;
  /** Not TLS or another Duplex: mostly done with a write before `write` returns. */
  readonly #isPlain: boolean;
  #flushedTo = 0;
  /** Writes that the socket will report done. */
  #writes = 0;
  #onWritten: (() => void) | undefined;
  #flushBytes = firstFlushBytes;
  #isScheduled = false;
  #isCorked = false;
  /** Full slabs that the socket may still read from. */
  #retired: Buffer[] | undefined;

  constructor(socket: Duplex, owner: OutputOwner) {
    this.#socket = socket;
    this.#owner = owner;
    this.#isPlain = socket instanceof Socket && !("encrypted" in socket);
    socket.on("drain", () => this.#onDrain());
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
    if (!this.#isScheduled) this.#schedule();
    if (end - this.#flushedTo >= this.#flushBytes && !this.isBlocked) {
      if (this.#flushBytes < largestFlushBytes) this.#flushBytes *= 2;
      this.flush();
    }
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
    this.flushes += 1;
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

  /** The tick is over. Only for the schedule of this module. */
  onTick(): void {
    this.#isScheduled = false;
    this.#flushBytes = this.#owner.isPeerSlow ? largestFlushBytes : firstFlushBytes;
    if (this.isClosed) return;
    this.flush();
    this.#owner.onTurnSent();
  }

  #write(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (this.isClosed || socket.destroyed) return;
    let takes: boolean;
    if (this.#isPlain && socket.writableLength === 0) {
      // the length tells afterwards whether it is done: a callback would cost a tick of its own
      takes = socket.write(bytes);
    } else {
      this.#onWritten ??= () => this.#onDone();
      this.#writes += 1;
      takes = socket.write(bytes, this.#onWritten);
    }
    if (!this.#isCorked) this.#isTaken(!takes);
  }

  #isTaken(needsDrain: boolean): void {
    // write() answers by its high-water mark even when the kernel took everything at once: then there is nothing to wait for
    if (this.#socket.writableLength === 0) {
      if (this.#writes === 0) this.#release();
    } else if (needsDrain && !this.isBlocked) {
      this.isBlocked = true;
      this.#owner.onBlocked();
    }
  }

  #onDrain(): void {
    if (this.#writes === 0 && this.#socket.writableLength === 0) this.#release();
    if (!this.isBlocked) return;
    this.isBlocked = false;
    this.controlBytes = 0;
    if (!this.isClosed) this.#owner.onDrain();
  }

  #onDone(): void {
    this.#writes -= 1;
    this.writesDone += 1;
    if (this.#writes === 0 && this.#socket.writableLength === 0) this.#release();
  }

  /** The socket holds nothing of ours any more. */
  #release(): void {
    this.writesDone += 1;
    if (this.#retired !== undefined) {
      for (const slab of this.#retired) keepSpare(slab);
      this.#retired = undefined;
    }
    if (this.#flushedTo < this.at) return;
    keepSpare(this.slab);
    this.slab = empty;
    this.at = 0;
    this.#flushedTo = 0;
  }

  #replaceSlab(bytes: number): void {
    this.flush();
    // the flush may have given the slab back
    if (this.slab !== empty) {
      this.#retired ??= [];
      this.#retired.push(this.slab);
    }
    this.slab = bytes > slabBytes ? Buffer.allocUnsafeSlow(bytes) : (spares.pop() ?? Buffer.allocUnsafeSlow(slabBytes));
    this.at = 0;
    this.#flushedTo = 0;
  }

  #schedule(): void {
    this.#isScheduled = true;
    scheduled.push(this);
    if (scheduled.length === 1) queueMicrotask(onMicrotask);
  }
}
