import type { Clock } from "../clock.ts";

/**
 * Notices that nothing happened for a while, at the cost of an addition per call: looks twice per time-out, and is idle
 * when nothing had happened since the look before last. So it takes between one and one and a half time-outs.
 */
export class IdleTimer {
  readonly #periodMs: number;
  readonly #clock: Clock;
  readonly #isBusy: () => boolean;
  readonly #onIdle: () => void;
  /** Counts what happens; the owner adds to it. */
  events = 0;
  #seenEvents = 0;
  #quietLooks = 0;
  #cancel: (() => void) | undefined;

  /** `timeoutMs` 0: never idle. */
  constructor(timeoutMs: number, clock: Clock, isBusy: () => boolean, onIdle: () => void) {
    this.#periodMs = timeoutMs / 2;
    this.#clock = clock;
    this.#isBusy = isBusy;
    this.#onIdle = onIdle;
  }

  start(): void {
    if (this.#periodMs <= 0 || this.#cancel !== undefined) return;
    this.#quietLooks = 0;
    this.#look();
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #look(): void {
    this.#seenEvents = this.events;
    this.#cancel = this.#clock.schedule(this.#periodMs, () => {
      this.#quietLooks = this.#isBusy() || this.events !== this.#seenEvents ? 0 : this.#quietLooks + 1;
      if (this.#quietLooks < 2) {
        this.#look();
        return;
      }
      this.#cancel = undefined;
      this.#onIdle();
    });
  }
}
