import { type Clock, systemClock } from "../clock.ts";
import { type CertificateRequest, createCertificateRequest } from "./csr.ts";
import { issuedMaterial } from "./issued-chain.ts";
import type { IdentitySource, SourceStatus, TlsMaterial } from "./material.ts";
import { SourceState } from "./source-state.ts";

/** Gets a CSR signed: leaf, intermediates, root last. Rejects when it can't; `signal` aborts when the source closes. */
export type CertificateSigner = (csrPem: string, ttlSeconds: number, signal: AbortSignal) => Promise<readonly string[]>;

/** Who signs, for how long, and the time and chance that tests pass in. */
export interface RotatingSourceOptions {
  readonly sign: CertificateSigner;
  /** What is asked for; the authority may give less. Default 24 h. */
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  readonly createRequest?: (spiffeId?: string) => Promise<CertificateRequest>;
}

const defaultTtlSeconds = 24 * 3600;
/** Renewal at half the lifetime, give or take this share of it: instances that started together don't renew together. */
const jitterShare = 0.05;
const firstRetryMs = 500;
const longestRetryMs = 60_000;
const retryGrowth = 2;
/** An authority that doesn't answer is as good as one that fails. */
const attemptTimeoutMs = 20_000;

/**
 * A key and certificate renewed by CSR: the first at once, the next at half life, with a fresh key each time.
 *
 * A failed attempt is repeated with back-off and told in `status`; the current certificate stays meanwhile. A renewal that
 * names another identity is a failure: a process doesn't become somebody else while it runs.
 */
export class RotatingSource implements IdentitySource {
  readonly #options: RotatingSourceOptions;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #state = new SourceState();
  readonly #ended = new AbortController();
  #failures = 0;
  /** Kept until it is answered: authorities that count first certificates know a repeated question by its key. */
  #request: CertificateRequest | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(options: RotatingSourceOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? Math.random;
    void this.#renew();
  }

  current(): TlsMaterial | undefined {
    return this.#state.current();
  }

  roots(): string | undefined {
    return this.#state.roots();
  }

  status(): SourceStatus {
    return this.#state.status();
  }

  watch(changed: () => void): () => void {
    return this.#state.watch(changed);
  }

  /** Calls `changed` whenever `status` may tell something else; returns how to stop. */
  watchStatus(changed: () => void): () => void {
    return this.#state.watchStatus(changed);
  }

  close(): void {
    this.#ended.abort(new Error("the certificate source was closed"));
    this.#cancelTimer?.();
    this.#state.clear();
  }

  async #renew(): Promise<void> {
    let material: TlsMaterial;
    try {
      material = await this.#ask();
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      const delayMs = this.#retryDelayMs();
      this.#schedule(delayMs);
      this.#report((error as Error).message, delayMs);
      return;
    }
    if (this.#ended.signal.aborted) return;
    this.#failures = 0;
    this.#request = undefined;
    const delayMs = this.#renewalDelayMs(material.notAfter);
    this.#schedule(delayMs);
    this.#state.swap(material, material.rootsPem);
    this.#report(undefined, delayMs);
  }

  async #ask(): Promise<TlsMaterial> {
    const expectedId = this.#state.current()?.spiffeId;
    const create = this.#options.createRequest ?? createCertificateRequest;
    this.#request ??= await create(expectedId);
    const request = this.#request;
    const ended = this.#ended.signal;
    const attempt = new AbortController();
    const tooLate = new Error(`the certificate authority did not answer within ${attemptTimeoutMs} ms`);
    const cancelTimeout = this.#clock.schedule(attemptTimeoutMs, () => attempt.abort(tooLate));
    const signal = AbortSignal.any([ended, attempt.signal]);
    try {
      const ttlSeconds = this.#options.ttlSeconds ?? defaultTtlSeconds;
      // Raced, for a signer that doesn't listen to its signal.
      const chain = await Promise.race([this.#options.sign(request.csrPem, ttlSeconds, signal), rejectOnAbort(signal)]);
      return issuedMaterial(request.privateKeyPem, chain, expectedId, new Date(this.#clock.now()));
    } finally {
      cancelTimeout();
    }
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer = this.#clock.schedule(delayMs, () => void this.#renew());
  }

  #report(lastError: string | undefined, delayMs: number): void {
    this.#state.report(lastError, new Date(this.#clock.now() + delayMs));
  }

  /** Counted from now, not from the certificate's beginning, which authorities set back for the sake of slow clocks. */
  #renewalDelayMs(notAfter: Date): number {
    const lifetimeMs = notAfter.getTime() - this.#clock.now();
    return lifetimeMs * (0.5 + jitterShare * (2 * this.#random() - 1));
  }

  #retryDelayMs(): number {
    const delayMs = Math.min(firstRetryMs * retryGrowth ** this.#failures, longestRetryMs);
    this.#failures += 1;
    return delayMs * (0.8 + 0.4 * this.#random());
  }
}

function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
