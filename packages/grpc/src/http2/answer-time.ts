import { maxStreamId } from "./frame.ts";
import type { Clock } from "./options.ts";

/** A peer that takes this long gains too little by beginning some 30 µs earlier. */
export const longAnswerMs = 0.5;
const noStream = maxStreamId;

/**
 * How long the peer takes, from the end of a turn to the end of a stream that the turn opened; smoothed. One stream is timed at a time.
 *
 * A server opens no streams: there it is never long.
 */
export class AnswerTime {
  readonly #clock: Clock;
  #sentUpToId = 1;
  /** Timed is the first stream from this one on to end: the last of a turn may be one that stays open. */
  #timedId = noStream;
  #sentAtMs = 0;
  #smoothedMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isLong(): boolean {
    return this.#smoothedMs >= longAnswerMs;
  }

  /** All streams below `nextId` are with the peer. */
  onTurnSent(nextId: number): void {
    if (nextId === this.#sentUpToId) return;
    this.#sentUpToId = nextId;
    if (this.#timedId !== noStream) return;
    this.#timedId = nextId - 2;
    this.#sentAtMs = this.#clock.now();
  }

  onStreamEnd(id: number): void {
    if (id < this.#timedId) return;
    this.#timedId = noStream;
    this.#smoothedMs += (this.#clock.now() - this.#sentAtMs - this.#smoothedMs) / 8;
  }
}
