import type { Clock } from "./options.ts";

/** How many frames of one kind a peer may send in a window of time. The clock is asked only when the count is used up. */
export class FrameBudget {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  #count = 0;
  #since: number;

  constructor(limit: number, windowMs: number, clock: Clock) {
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#clock = clock;
    this.#since = clock.now();
  }

  /** Counts one; false when that is too many. */
  take(): boolean {
    this.#count += 1;
    if (this.#count <= this.#limit) return true;
    const now = this.#clock.now();
    if (now - this.#since < this.#windowMs) return false;
    this.#since = now;
    this.#count = 1;
    return true;
  }

  /** Forgets what was counted. */
  reset(): void {
    this.#count = 0;
  }
}

/**
 * How many streams a peer may break off: each costs one, each that ends normally pays one back, and the limit comes back
 * every second. So cancelling half of all calls is fine for ever, and opening streams only to reset them soon is not.
 */
export class ResetBudget {
  readonly #limit: number;
  readonly #clock: Clock;
  #left: number;
  #since: number;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
    this.#left = limit;
    this.#since = clock.now();
  }

  take(): boolean {
    this.#left -= 1;
    if (this.#left >= 0) return true;
    const now = this.#clock.now();
    const refill = Math.floor(((now - this.#since) / 1000) * this.#limit);
    this.#left = Math.min(this.#limit, refill) - 1;
    this.#since = now;
    return this.#left >= 0;
  }

  giveBack(): void {
    if (this.#left < this.#limit) this.#left += 1;
  }
}
