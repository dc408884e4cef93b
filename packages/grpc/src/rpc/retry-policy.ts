import type { HeaderList } from "../http2/headers.ts";
import { headerValue } from "./response.ts";

/** When and how a call that failed is tried again (gRFC A6). */
export interface RetryPolicy {
  /** Attempts in all, the first included: at least 2. The channel may allow fewer. */
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly backoffMultiplier: number;
  /** Statuses, as numbers, after which there is another attempt. */
  readonly retryableStatuses: ReadonlySet<number>;
}

/** How a call is sent several times without waiting for the first to fail (gRFC A6). */
export interface HedgingPolicy {
  /** Attempts in all: at least 2. The channel may allow fewer. */
  readonly maxAttempts: number;
  /** Between one attempt and the next. */
  readonly delayMs: number;
  /** Statuses, as numbers, that don't end the call while other attempts run or are left. */
  readonly nonFatalStatuses: ReadonlySet<number>;
}

/** How long to wait for the next attempt as the server says (`grpc-retry-pushback-ms`): -1, never; undefined, it doesn't say. */
export function pushbackOf(trailers: HeaderList): number | undefined {
  const text = headerValue(trailers, "grpc-retry-pushback-ms");
  if (text === undefined) return undefined;
  // A value that is no number means what a negative one means.
  return /^\d{1,10}$/.test(text) ? Number(text) : -1;
}

/** Stops the retries of a channel while too many of its calls fail (gRFC A6, "Throttling retry attempts and hedged RPCs"). */
export class RetryThrottle {
  readonly #maxTokens: number;
  readonly #tokenRatio: number;
  #tokens: number;

  constructor(maxTokens: number, tokenRatio: number) {
    this.#maxTokens = maxTokens;
    this.#tokenRatio = tokenRatio;
    this.#tokens = maxTokens;
  }

  /** Whether another attempt may be made. */
  get allows(): boolean {
    return this.#tokens > this.#maxTokens / 2;
  }

  onSuccess(): void {
    this.#tokens = Math.min(this.#maxTokens, this.#tokens + this.#tokenRatio);
  }

  /** An attempt failed with a status that is retried, or the server wants no more. */
  onFailure(): void {
    this.#tokens = Math.max(0, this.#tokens - 1);
  }
}

/** What calls of one channel may keep for further attempts, all together. */
export class ReplayBudget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** False, and nothing taken, where it would be too much. */
  take(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.#maxBytes) return false;
    this.#usedBytes += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}

/** What the calls of a channel share when they are tried again. */
export interface RetryEnvironment {
  readonly throttle: RetryThrottle | undefined;
  readonly budget: ReplayBudget;
  /** More attempts than this are not made, whatever a policy says. */
  readonly maxAttempts: number;
  /** What one call may keep for further attempts. */
  readonly maxCallBytes: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}
