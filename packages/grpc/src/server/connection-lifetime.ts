import type { Clock } from "../clock.ts";

/** How long a server's connections live, and how it finds out that a client is gone. */
export interface ConnectionLifetime {
  /** Connections older than this, give or take a tenth, say goodbye: clients spread anew. Default: no limit. */
  readonly maxAgeMs?: number;
  /** How long calls may still run after that. Default: as long as they take. */
  readonly maxAgeGraceMs?: number;
  /** Connections without a call for as long as this (or a quarter longer) say goodbye. Default: no limit. */
  readonly maxIdleMs?: number;
  /** Clients are asked for a sign of life this often. Default 2 hours; `Infinity` switches it off (gRFC A8). */
  readonly keepaliveTimeMs?: number;
  /** The connection ends when the answer takes longer. Default 20 s. */
  readonly keepaliveTimeoutMs?: number;
  /**
   * Clients that ping more often than this while nothing is sent to them, three times over, are disconnected with
   * `too_many_pings` (gRFC A8). Default 10 s, the least that gRPC's clients can be set to; 0 allows any.
   */
  readonly minPingIntervalMs?: number;
  /** Whether clients may ping without a call open. Default true. */
  readonly pingsWithoutCalls?: boolean;
}

/** The connection, as far as its lifetime is concerned. */
export interface LimitedConnection {
  readonly openCalls: number;
  /** Calls that were ever started. */
  readonly startedCalls: number;
  drain(graceMs: number): void;
  ping(answered: () => void): void;
  destroy(error: Error): void;
}

const defaultKeepaliveTimeMs = 2 * 60 * 60 * 1000;
const defaultKeepaliveTimeoutMs = 20_000;
const defaultMinPingIntervalMs = 10_000;
/** How many pings beyond the allowed are forgiven; networks bunch them together. */
const mostStrikes = 2;
const none = Number.POSITIVE_INFINITY;

/** Watches one connection of a server: its age, its idleness, whether its client lives, and whether that pings too often. */
export class LifetimeWatch {
  readonly #connection: LimitedConnection;
  readonly #options: ConnectionLifetime;
  readonly #clock: Clock;
  #cancelAge: (() => void) | undefined;
  #cancelIdle: (() => void) | undefined;
  #cancelKeepalive: (() => void) | undefined;
  #quietSinceMs: number;
  #startedCalls = 0;
  #lastPingMs = 0;
  #strikes = 0;

  /** `random` is uniform in [0, 1). */
  constructor(connection: LimitedConnection, options: ConnectionLifetime, clock: Clock, random: () => number) {
    this.#connection = connection;
    this.#options = options;
    this.#clock = clock;
    this.#quietSinceMs = clock.now();
    const { maxAgeMs = none, maxIdleMs = none, keepaliveTimeMs = defaultKeepaliveTimeMs } = options;
    if (maxAgeMs !== none) {
      const ageMs = maxAgeMs * (0.9 + 0.2 * random());
      this.#cancelAge = clock.schedule(ageMs, () => connection.drain(options.maxAgeGraceMs ?? none));
    }
    if (maxIdleMs !== none) this.#watchIdle(maxIdleMs);
    if (keepaliveTimeMs !== none) this.#awaitKeepalive(keepaliveTimeMs);
  }

  /** The connection is over. */
  stop(): void {
    this.#cancelAge?.();
    this.#cancelIdle?.();
    this.#cancelKeepalive?.();
  }

  /** The client pinged, and was sent nothing since the ping before where `isIdle`; whether that is all right. */
  onPing(isIdle: boolean): boolean {
    const { minPingIntervalMs = defaultMinPingIntervalMs, pingsWithoutCalls = true } = this.#options;
    if (minPingIntervalMs === 0) return true;
    const now = this.#clock.now();
    const sinceMs = now - this.#lastPingMs;
    this.#lastPingMs = now;
    if (!isIdle) {
      this.#strikes = 0;
      return true;
    }
    const leastMs = pingsWithoutCalls || this.#connection.openCalls > 0 ? minPingIntervalMs : defaultKeepaliveTimeMs;
    if (sinceMs >= leastMs) return true;
    this.#strikes++;
    return this.#strikes <= mostStrikes;
  }

  /** Looks four times per limit: nothing has to be told to this watch while calls come and go. */
  #watchIdle(maxIdleMs: number): void {
    this.#cancelIdle = this.#clock.schedule(maxIdleMs / 4, () => {
      const { openCalls, startedCalls } = this.#connection;
      const now = this.#clock.now();
      if (openCalls > 0 || startedCalls !== this.#startedCalls) this.#quietSinceMs = now;
      this.#startedCalls = startedCalls;
      // Gracefully: a call may be on its way.
      if (now - this.#quietSinceMs >= maxIdleMs) this.#connection.drain(none);
      else this.#watchIdle(maxIdleMs);
    });
  }

  #awaitKeepalive(timeMs: number): void {
    this.#cancelKeepalive = this.#clock.schedule(timeMs, () => {
      const { keepaliveTimeoutMs = defaultKeepaliveTimeoutMs } = this.#options;
      this.#cancelKeepalive = this.#clock.schedule(keepaliveTimeoutMs, () =>
        this.#connection.destroy(new Error(`a keepalive ping was not answered within ${keepaliveTimeoutMs} ms`)),
      );
      this.#connection.ping(() => {
        this.#cancelKeepalive?.();
        this.#awaitKeepalive(timeMs);
      });
    });
  }
}
