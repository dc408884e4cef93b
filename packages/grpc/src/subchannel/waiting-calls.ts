import type { ClientCall } from "../rpc/client-call.ts";

const smallest = 16;
/** An empty queue keeps this much room for the next ones. */
const largestKept = 1024;
/** A full queue is searched for calls that have ended once in so many that it refuses. */
const refusedPerSearch = 1000;

/**
 * Calls that wait for a free stream at one address, in order. Those that end meanwhile are skipped.
 *
 * A ring whose slots are cleared as calls leave: what is still referenced from an array that lives long grows old with it.
 */
export class WaitingCalls {
  readonly #maxCalls: number;
  #ring: (ClientCall | undefined)[] = [];
  #first = 0;
  #size = 0;
  #refused = 0;

  constructor(maxCalls: number) {
    this.#maxCalls = maxCalls;
  }

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** False, and the call ended, where too many wait already. */
  add(call: ClientCall, peer: string): boolean {
    if (this.#size >= this.#maxCalls && !this.#makeRoom()) {
      call.cancel("RESOURCE_EXHAUSTED", `${this.#maxCalls} calls wait for a free stream on ${peer} already`);
      return false;
    }
    call.hasWaited = true;
    this.#push(call);
    return true;
  }

  /** Takes the first out; undefined when none is left. */
  take(): ClientCall | undefined {
    const ring = this.#ring;
    while (this.#size > 0) {
      const call = ring[this.#first]!;
      ring[this.#first] = undefined;
      this.#first = (this.#first + 1) & (ring.length - 1);
      this.#size -= 1;
      if (this.#size === 0 && ring.length > largestKept) this.#ring = [];
      if (!call.isEnded) return call;
    }
    return undefined;
  }

  /** Takes all out. */
  takeAll(): ClientCall[] {
    const calls: ClientCall[] = [];
    for (let call = this.take(); call !== undefined; call = this.take()) calls.push(call);
    return calls;
  }

  #push(call: ClientCall): void {
    if (this.#size === this.#ring.length) this.#grow();
    this.#ring[(this.#first + this.#size) & (this.#ring.length - 1)] = call;
    this.#size += 1;
  }

  #grow(): void {
    const old = this.#ring;
    const ring = new Array<ClientCall | undefined>(Math.max(smallest, old.length * 2)).fill(undefined);
    for (let i = 0; i < old.length; i++) ring[i] = old[(this.#first + i) & (old.length - 1)];
    old.fill(undefined);
    this.#ring = ring;
    this.#first = 0;
  }

  #makeRoom(): boolean {
    if (this.#refused++ % refusedPerSearch !== 0) return false;
    for (const call of this.takeAll()) this.#push(call);
    return this.#size < this.#maxCalls;
  }
}
