import type { ClientCall } from "../rpc/client-call.ts";

/** A day: only a handle that keeps the process alive, cleared long before. */
const foreverMs = 86_400_000;

/**
 * Calls of one channel that wait: for a router or a connection, in order, or apart from the others for something of their
 * own. Keeps the process alive while there are any that aren't in the background.
 */
export class CallQueue {
  #calls = new Set<ClientCall>();
  /** Calls that wait for something of their own, with how to call that off. */
  readonly #parked = new Map<ClientCall, () => void>();
  readonly #maxCalls: number;
  /** Starts or ends the call; false: it waits on. */
  readonly #dispatch: (call: ClientCall) => boolean;
  #hold: NodeJS.Timeout | undefined;
  #isFlushing = false;
  #needsFlush = false;

  constructor(maxCalls: number, dispatch: (call: ClientCall) => boolean) {
    this.#maxCalls = maxCalls;
    this.#dispatch = dispatch;
  }

  get size(): number {
    return this.#calls.size + this.#parked.size;
  }

  /** False when the queue is full. */
  add(call: ClientCall): boolean {
    if (this.size >= this.#maxCalls) return false;
    this.#calls.add(call);
    this.#holdFor(call);
    return true;
  }

  /** Lets `call` wait until `unpark`; `cancel` runs if it ends or is parked anew before. */
  park(call: ClientCall, cancel: () => void): void {
    this.#parked.get(call)?.();
    this.#parked.set(call, cancel);
    this.#holdFor(call);
  }

  /** The end of a wait; false if `call` isn't parked. The process is held by whatever the call does next. */
  unpark(call: ClientCall): boolean {
    const wasParked = this.#parked.delete(call);
    if (wasParked) this.#releaseIfIdle();
    return wasParked;
  }

  isParked(call: ClientCall): boolean {
    return this.#parked.has(call);
  }

  delete(call: ClientCall): void {
    const cancel = this.#parked.get(call);
    cancel?.();
    const hadCall = this.#parked.delete(call) || this.#calls.delete(call);
    if (hadCall && !this.#isFlushing) this.#releaseIfIdle();
  }

  /** Tries every call again, parked ones excepted. Called from within, it goes round once more. */
  flush(): void {
    this.#needsFlush = true;
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    while (this.#needsFlush) {
      this.#needsFlush = false;
      const still: ClientCall[] = [];
      for (const call of [...this.#calls]) {
        // Gone meanwhile: it ended. Out before its turn: a call that comes straight back is added anew.
        if (!this.#calls.delete(call)) continue;
        if (!this.#dispatch(call)) still.push(call);
      }
      // Those that wait longer stay in front of what was added meanwhile.
      this.#calls = new Set([...still.filter((call) => !call.isEnded), ...this.#calls]);
    }
    this.#isFlushing = false;
    this.#releaseIfIdle();
  }

  #holdFor(call: ClientCall): void {
    call.hasWaited = true;
    if (!call.isBackground) this.#hold ??= setInterval(() => undefined, foreverMs);
  }

  #releaseIfIdle(): void {
    if (this.#hold === undefined || isAnyInForeground(this.#calls) || isAnyInForeground(this.#parked.keys())) return;
    clearInterval(this.#hold);
    this.#hold = undefined;
  }
}

function isAnyInForeground(calls: Iterable<ClientCall>): boolean {
  for (const call of calls) if (!call.isBackground) return true;
  return false;
}
