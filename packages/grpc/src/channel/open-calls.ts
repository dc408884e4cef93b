import type { ClientCall } from "../rpc/client-call.ts";

/**
 * The calls of one channel that have no status yet, in the order they were made.
 *
 * Linked by their own fields, and not an array: see `DeadlineWheel`.
 */
export class OpenCalls {
  size = 0;
  #first: ClientCall | undefined;
  #last: ClientCall | undefined;

  add(call: ClientCall): void {
    const last = this.#last;
    call.openPrevious = last;
    if (last === undefined) this.#first = call;
    else last.openNext = call;
    this.#last = call;
    this.size++;
  }

  /** Takes out `call`, which is in. */
  delete(call: ClientCall): void {
    const { openNext, openPrevious } = call;
    if (openPrevious === undefined) this.#first = openNext;
    else openPrevious.openNext = openNext;
    if (openNext === undefined) this.#last = openPrevious;
    else openNext.openPrevious = openPrevious;
    call.openNext = undefined;
    call.openPrevious = undefined;
    this.size--;
  }

  toArray(): ClientCall[] {
    const calls: ClientCall[] = [];
    for (let call = this.#first; call !== undefined; call = call.openNext) calls.push(call);
    return calls;
  }
}
