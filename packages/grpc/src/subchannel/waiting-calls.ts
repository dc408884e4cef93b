import type { ClientCall } from "../rpc/client-call.ts";

/** Calls that left the queue are forgotten so many at a time. */
const fewestForgotten = 1000;

/** Calls that wait for a free stream at one address, in order. Those that end meanwhile are skipped. */
export class WaitingCalls {
  readonly #maxCalls: number;
  #calls: ClientCall[] = [];
  /** The first that waits. */
  #next = 0;
  /** Calls that a full queue has refused since it was last searched for ended ones: not worth the search each time. */
  #refused = 0;

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  get isEmpty(): boolean {
    return this.#next === this.#calls.length;
  }

  /** False, and the call ended, where too many wait already. */
  add(call: ClientCall, peer: string): boolean {
    if (this.#calls.length - this.#next >= this.#maxCalls && !this.#makeRoom()) {
      call.cancel("RESOURCE_EXHAUSTED", `${this.#maxCalls} calls wait for a free stream on ${peer} already`);
      return false;
    }
    call.hasWaited = true;
    this.#calls.push(call);
    return true;
  }

  /** Takes the first out; undefined when none is left. */
  take(): ClientCall | undefined {
    while (this.#next < this.#calls.length) {
      const call = this.#calls[this.#next++]!;
      // A queue that never runs empty must not keep the calls that left it.
      if (this.isEmpty || (this.#next >= fewestForgotten && this.#next * 2 >= this.#calls.length)) this.#forget();
      if (!call.isEnded) return call;
    }
    return undefined;
  }

  /** Takes all out. */
  takeAll(): ClientCall[] {
    const calls = this.#calls.slice(this.#next).filter((call) => !call.isEnded);
    this.#calls = [];
    this.#next = 0;
    return calls;
  }

  #forget(): void {
    this.#calls = this.#calls.slice(this.#next);
    this.#next = 0;
  }

  #makeRoom(): boolean {
    if (this.#refused++ % fewestForgotten !== 0) return false;
    this.#calls = this.takeAll();
    return this.#calls.length < this.#maxCalls;
  }
}
