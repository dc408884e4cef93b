import type { Clock } from "./options.ts";

/** What a connection may wait for too long. */
export const Wait = { preface: 0, settings: 1, windowStall: 2, writeStall: 3, drain: 4, close: 5 } as const;
const waits = 6;

/** The deadlines of one connection on one timer. Disarming is free: a timer that finds nothing due goes back to sleep. */
export class Watchdog {
  readonly #clock: Clock;
  readonly #onDue: (wait: number) => void;
  readonly #deadlines: number[] = new Array(waits).fill(Number.POSITIVE_INFINITY);
  #timer: unknown;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(clock: Clock, onDue: (wait: number) => void) {
    this.#clock = clock;
    this.#onDue = onDue;
  }

  arm(wait: number, delayMs: number): void {
    const deadline = this.#clock.now() + delayMs;
    this.#deadlines[wait] = deadline;
    if (deadline < this.#timerAt) this.#schedule(deadline);
  }

  disarm(wait: number): void {
    this.#deadlines[wait] = Number.POSITIVE_INFINITY;
  }

  isArmed(wait: number): boolean {
    return (this.#deadlines[wait] as number) < Number.POSITIVE_INFINITY;
  }

  close(): void {
    this.#deadlines.fill(Number.POSITIVE_INFINITY);
    this.#schedule(Number.POSITIVE_INFINITY);
  }

  #schedule(deadline: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = deadline;
    if (deadline === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.setTimeout(() => this.#check(), Math.max(0, deadline - this.#clock.now()));
  }

  #check(): void {
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
    // timers may come a little early
    const now = this.#clock.now() + 1;
    for (let wait = 0; wait < waits; wait += 1) {
      if ((this.#deadlines[wait] as number) > now) continue;
      this.#deadlines[wait] = Number.POSITIVE_INFINITY;
      this.#onDue(wait);
    }
    const next = Math.min(...this.#deadlines);
    if (next < this.#timerAt) this.#schedule(next);
  }
}
