import type { HeaderList } from "../http2/headers.ts";
import { pushbackOf, type RetryEnvironment, type RetryPolicy } from "./retry-policy.ts";
import { Status } from "./status.ts";

/** The retries of one call: how many there were, and when the next may come. Only for calls that have a policy. */
export class CallRetry {
  readonly #policy: RetryPolicy;
  readonly #environment: RetryEnvironment;
  readonly #maxAttempts: number;
  #attempts = 1;
  #nextBackoffMs: number;
  /** Taken from the channel's budget. */
  #keptBytes = 0;

  constructor(policy: RetryPolicy, environment: RetryEnvironment) {
    this.#policy = policy;
    this.#environment = environment;
    this.#maxAttempts = Math.min(policy.maxAttempts, environment.maxAttempts);
    this.#nextBackoffMs = policy.initialBackoffMs;
  }

  /** Attempts that were made and failed. */
  get previousAttempts(): number {
    return this.#attempts - 1;
  }

  /** Whether `bytes` more of the request may be kept for another attempt. */
  keep(bytes: number): boolean {
    const { budget, maxCallBytes } = this.#environment;
    if (this.#keptBytes + bytes > maxCallBytes || !budget.take(bytes)) return false;
    this.#keptBytes += bytes;
    return true;
  }

  /** Nothing is kept any more. */
  forget(): void {
    this.#environment.budget.giveBack(this.#keptBytes);
    this.#keptBytes = 0;
  }

  /** An attempt ended: counts it, and returns how long to wait for the next; -1: there is none. */
  onAttemptEnded(status: number, trailers: HeaderList, canRetry: boolean): number {
    const { throttle, random } = this.#environment;
    if (status === Status.OK) {
      throttle?.onSuccess();
      return -1;
    }
    const pushbackMs = pushbackOf(trailers);
    const isRetryable = this.#policy.retryableStatuses.has(status);
    if (isRetryable || pushbackMs === -1) throttle?.onFailure();
    if (!isRetryable || pushbackMs === -1 || !canRetry) return -1;
    if (this.#attempts >= this.#maxAttempts || throttle?.allows === false) return -1;
    this.#attempts++;
    if (pushbackMs !== undefined) {
      this.#nextBackoffMs = this.#policy.initialBackoffMs;
      return pushbackMs;
    }
    const backoffMs = this.#nextBackoffMs;
    this.#nextBackoffMs = Math.min(backoffMs * this.#policy.backoffMultiplier, this.#policy.maxBackoffMs);
    return Math.min(backoffMs, this.#policy.maxBackoffMs) * (0.8 + 0.4 * random());
  }
}
