/** The waits between attempts at one address, by gRPC's connection back-off protocol (doc/connection-backoff). */
export class Backoff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #nextMs: number;

  constructor(initialMs: number, maxMs: number, random: () => number) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#nextMs = initialMs;
  }

  /** How long after the beginning of a failed attempt the next may begin: ×1.6 each time, ±20 %. */
  next(): number {
    const waitMs = this.#nextMs;
    this.#nextMs = Math.min(waitMs * 1.6, this.#maxMs);
    return waitMs * (0.8 + 0.4 * this.#random());
  }

  /** After a success. */
  reset(): void {
    this.#nextMs = this.#initialMs;
  }
}
