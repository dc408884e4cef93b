import type { Clock, Http2Limits } from "./options.ts";
import type { Sender } from "./sender.ts";

/** Frames that are counted: a peer may send few of them within `floodWindowMs`. */
export const Flood = { settings: 0, ping: 1, empty: 2, useless: 3 } as const;
const kinds = 4;

/**
 * What a peer did that is cheap for it and costs us: counted here, judged by the limits. The clock is asked only when a count is
 * used up. PINGs and useless frames come along with calls, or race with their end: they count from this side's last HEADERS or DATA.
 *
 * Resets are a budget: each costs one, each stream that ends normally pays one back, and the limit comes back every second.
 */
export class PeerConduct {
  readonly #limits: Http2Limits;
  readonly #clock: Clock;
  readonly #startMs: number;
  readonly #counts = new Int32Array(kinds);
  readonly #sinceMs = new Int32Array(kinds);
  #hasSentSincePing = false;
  #resetsLeft: number;
  #refilledAtMs = 0;

  constructor(limits: Http2Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#startMs = clock.now();
    this.#resetsLeft = limits.maxResets;
  }

  /** Whole milliseconds since the connection began. */
  now(): number {
    return (this.#clock.now() - this.#startMs) | 0;
  }

  /** Counts a frame of `kind`; false when that is too many. */
  take(kind: number, sender: Sender): boolean {
    if (kind !== Flood.empty && sender.framesSent > 0) this.#forget(sender);
    const count = (this.#counts[kind] as number) + 1;
    this.#counts[kind] = count;
    if (count <= this.#limitOf(kind)) return true;
    const now = this.now();
    if (now - (this.#sinceMs[kind] as number) < this.#limits.floodWindowMs) return false;
    this.#sinceMs[kind] = now;
    this.#counts[kind] = 1;
    return true;
  }

  /** A PING was counted: whether this side sent no HEADERS or DATA since the one before. */
  wasIdleSincePing(): boolean {
    const isIdle = !this.#hasSentSincePing;
    this.#hasSentSincePing = false;
    return isIdle;
  }

  /** Counts a stream that the peer broke off, or made us break off; false when that is too many. */
  takeReset(): boolean {
    this.#resetsLeft -= 1;
    if (this.#resetsLeft >= 0) return true;
    const now = this.now();
    const refill = Math.floor(((now - this.#refilledAtMs) / 1000) * this.#limits.maxResets);
    this.#resetsLeft = Math.min(this.#limits.maxResets, refill) - 1;
    this.#refilledAtMs = now;
    return this.#resetsLeft >= 0;
  }

  /** A stream ended normally. */
  payBackReset(): void {
    if (this.#resetsLeft < this.#limits.maxResets) this.#resetsLeft += 1;
  }

  #forget(sender: Sender): void {
    sender.framesSent = 0;
    this.#hasSentSincePing = true;
    this.#counts[Flood.ping] = 0;
    this.#counts[Flood.useless] = 0;
  }

  #limitOf(kind: number): number {
    const limits = this.#limits;
    if (kind === Flood.settings) return limits.maxSettingsFrames;
    if (kind === Flood.ping) return limits.maxPingFrames;
    return kind === Flood.empty ? limits.maxEmptyFrames : limits.maxUselessFrames;
  }
}
