import type { Clock } from "../clock.ts";
import type { Http2Connection } from "../http2/connection.ts";
import type { KeepaliveOptions } from "./connect-options.ts";

/** Servers hang up on clients that ping more often (gRFC A8). */
const minTimeMs = 10_000;
const defaultTimeoutMs = 20_000;

/**
 * Pings one connection when nothing was read from it for a while, and gives it up when nothing comes then either (gRFC A8).
 * Its timers don't keep the process alive.
 */
export class Keepalive {
  readonly #connection: Http2Connection;
  /** Changes with all that is read. */
  readonly #activity: () => number;
  #seenActivity = 0;
  readonly #timeMs: number;
  readonly #timeoutMs: number;
  readonly #withoutCalls: boolean;
  readonly #clock: Clock;
  #cancelTimer: (() => void) | undefined;
  #isBusy = false;
  #isRunning = false;

  constructor(connection: Http2Connection, activity: () => number, options: KeepaliveOptions, clock: Clock) {
    this.#connection = connection;
    this.#activity = activity;
    this.#timeMs = Math.max(options.timeMs, minTimeMs);
    this.#timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    this.#withoutCalls = options.withoutCalls ?? false;
    this.#clock = clock;
  }

  /** The connection is ready. */
  start(): void {
    this.#isRunning = true;
    this.#wait();
  }

  /** Whether calls are open. */
  onBusy(isBusy: boolean): void {
    this.#isBusy = isBusy;
    if (isBusy && this.#isRunning && this.#cancelTimer === undefined) this.#wait();
  }

  /** The connection is over. */
  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #wait(): void {
    if (!this.#isRunning || !(this.#isBusy || this.#withoutCalls)) return;
    this.#seenActivity = this.#activity();
    this.#cancelTimer = this.#clock.schedule(this.#timeMs, () => {
      this.#cancelTimer = undefined;
      // Idle by now: the next call begins the wait anew.
      if (!this.#isBusy && !this.#withoutCalls) return;
      if (this.#activity() === this.#seenActivity) this.#ping();
      else this.#wait();
    });
  }

  #ping(): void {
    this.#seenActivity = this.#activity();
    this.#cancelTimer = this.#clock.schedule(this.#timeoutMs, () => {
      this.#cancelTimer = undefined;
      // A peer that sends is alive, even if its answer waits behind what it sends.
      if (this.#activity() !== this.#seenActivity) this.#wait();
      else this.#connection.destroy(new Error(`a keepalive ping was not answered within ${this.#timeoutMs} ms`));
    });
    this.#connection.ping(() => {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      this.#wait();
    });
  }
}
