import type { ClientCall } from "../rpc/client-call.ts";

/** A day: only a handle that keeps the process alive, cleared long before. */
const foreverMs = 86_400_000;

/**
 * Calls of one channel that wait for a router or a connection, in order. Keeps the process alive while there are any that
 * aren't in the background.
 */
export class CallQueue {
  #calls = new Set<ClientCall>();
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
    return this.#calls.size;
  }

  /** False when the queue is full. */
  add(call: ClientCall): boolean {
    if (this.#calls.size >= this.#maxCalls) return false;
    call.hasWaited = true;
    this.#calls.add(call);
    if (!call.isBackground) this.#hold ??= setInterval(() => undefined, foreverMs);
    return true;
  }

  delete(call: ClientCall): void {
    if (this.#calls.delete(call) && !this.#isFlushing) this.#releaseIfIdle();
  }

  /** Tries every call again. Called from within, it goes round once more. */
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

  #releaseIfIdle(): void {
    if (this.#hold === undefined) return;
    for (const call of this.#calls) if (!call.isBackground) return;
    clearInterval(this.#hold);
    this.#hold = undefined;
  }
}
