import type { HeaderList } from "../http2/headers.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import type { CallHead } from "./call-head.ts";
import type { CallListener } from "./call-listener.ts";
import { type CallOwner, ClientCall } from "./client-call.ts";
import { deadlines } from "./deadline-wheel.ts";
import { type HedgingPolicy, pushbackOf, type RetryEnvironment } from "./retry-policy.ts";
import type { StartOptions } from "./start-options.ts";
import { Status } from "./status.ts";

/** Who starts hedged calls: a channel. */
export interface HedgingOwner extends CallOwner {
  /** `call` needs no `proceed` any more. */
  stopWaiting(call: ClientCall): void;
  /** An attempt is over, which isn't a call of its own. */
  onAttemptEnded(attempt: ClientCall): void;
}

/**
 * A call that is sent several times, each a little later, until one of them is answered (gRFC A6, hedging): the first
 * response headers decide, and the others are cancelled.
 *
 * Itself it has no stream; each attempt is a call that this one listens to.
 */
export class HedgedCall extends ClientCall {
  readonly #policy: HedgingPolicy;
  readonly #environment: RetryEnvironment;
  readonly #owner: HedgingOwner;
  readonly #attemptOwner: CallOwner;
  readonly #options: StartOptions | undefined;
  readonly #listener: CallListener;
  readonly #request: Uint8Array | undefined;
  readonly #maxAttempts: number;
  /** Those that run. */
  readonly #attempts = new Set<Attempt>();
  #made = 0;
  #mayHedge = true;
  /** The one that was answered. */
  #chosen: Attempt | undefined;
  #messages: { readonly message: Uint8Array; readonly compress: boolean }[] = [];
  #keptBytes = 0;
  #isRequestOver = false;
  #owesWritable = false;
  #isReadingPaused = false;

  constructor(
    head: CallHead,
    options: StartOptions | undefined,
    listener: CallListener,
    owner: HedgingOwner,
    request: Uint8Array | undefined,
  ) {
    const ending = new Ending(listener);
    super(head, options, ending, owner, undefined);
    ending.call = this;
    const { hedging, retries } = head.settings;
    this.#policy = hedging!;
    this.#environment = retries!;
    this.#maxAttempts = Math.min(hedging!.maxAttempts, retries!.maxAttempts);
    this.#owner = owner;
    this.#attemptOwner = {
      restart: (call) => owner.restart(call),
      proceedLater: (call, delayMs) => owner.proceedLater(call, delayMs),
      describeWait: (call) => owner.describeWait(call),
      onCallEnded: (call) => owner.onAttemptEnded(call),
    };
    this.#options = options;
    this.#listener = listener;
    this.#request = request;
    if (request !== undefined) this.#keep(request.length);
  }

  override get peer(): string | undefined {
    return this.#leading?.call.peer;
  }

  override get tlsPeer(): TlsPeer | undefined {
    return this.#leading?.call.tlsPeer;
  }

  override describeWait(): string {
    return this.peer ?? this.#leading?.call.describeWait() ?? super.describeWait();
  }

  /** Makes the first attempt, or the next one. */
  override proceed(): void {
    if (this.isEnded || this.#chosen !== undefined || !this.#hasAttemptsLeft()) return;
    const attempt = new Attempt(this);
    const call = new ClientCall(this.head, this.#attemptOptions(), attempt, this.#attemptOwner, this.#request);
    attempt.call = call;
    call.previousAttempts = this.#made++;
    call.credentialsMetadata = this.credentialsMetadata;
    this.#attempts.add(attempt);
    this.#owner.restart(call);
    for (const { message, compress } of this.#messages) call.sendMessage(message, compress);
    if (this.#isRequestOver) call.halfClose();
    if (this.#attempts.has(attempt) && this.#chosen === undefined && this.#hasAttemptsLeft()) {
      this.#owner.proceedLater(this, this.#policy.delayMs);
    }
  }

  override sendMessage(message: Uint8Array, compress = true): boolean {
    if (this.isEnded) return true;
    if (this.#chosen !== undefined) return this.#chosen.call.sendMessage(message, compress);
    this.#messages.push({ message, compress });
    this.#keep(message.length);
    let isWritable = this.#attempts.size > 0;
    for (const { call } of [...this.#attempts]) isWritable = call.sendMessage(message, compress) && isWritable;
    if (!isWritable) this.#owesWritable = true;
    return isWritable;
  }

  override halfClose(): void {
    this.#isRequestOver = true;
    for (const { call } of [...this.#attempts]) call.halfClose();
  }

  override pause(): void {
    this.#isReadingPaused = true;
    this.#chosen?.call.pause();
  }

  override resume(): void {
    this.#isReadingPaused = false;
    this.#chosen?.call.resume();
  }

  /** The call is over, or decided: the other attempts are called off. */
  dropAttempts(except?: Attempt): void {
    this.#environment.budget.giveBack(this.#keptBytes);
    this.#keptBytes = 0;
    this.#messages = [];
    this.#owner.stopWaiting(this);
    for (const attempt of [...this.#attempts]) {
      if (attempt === except) continue;
      this.#attempts.delete(attempt);
      attempt.call.cancel("CANCELLED", "another attempt was answered");
    }
  }

  // As the listener of attempts.

  onAttemptHeaders(attempt: Attempt, headers: HeaderList): void {
    if (!this.#attempts.has(attempt)) return;
    if (this.#chosen === undefined) this.#choose(attempt);
    this.#listener.onHeaders(headers);
  }

  onAttemptMessage(message: Buffer): void {
    if (!this.isEnded) this.#listener.onMessage(message);
  }

  onAttemptWritable(attempt: Attempt): void {
    if (!this.#attempts.has(attempt) || this.isEnded) return;
    if (this.#chosen === undefined && !this.#owesWritable) return;
    this.#owesWritable = false;
    this.#listener.onWritable();
  }

  onAttemptStatus(attempt: Attempt, status: number, details: string, trailers: HeaderList, cause: unknown): void {
    if (!this.#attempts.delete(attempt)) return;
    const { throttle } = this.#environment;
    const isFatal = !this.#policy.nonFatalStatuses.has(status);
    const pushbackMs = pushbackOf(trailers);
    if (status === Status.OK) throttle?.onSuccess();
    else if (!isFatal || pushbackMs === -1) throttle?.onFailure();
    if (pushbackMs === -1) this.#mayHedge = false;
    if (attempt === this.#chosen || isFatal) {
      this.finish(status, details, trailers, cause);
    } else if (this.#hasAttemptsLeft()) {
      this.#owner.stopWaiting(this);
      if (pushbackMs === undefined) this.proceed();
      else this.#owner.proceedLater(this, pushbackMs);
    } else if (this.#attempts.size === 0) {
      this.finish(status, details, trailers, cause);
    }
  }

  get #leading(): Attempt | undefined {
    if (this.#chosen !== undefined) return this.#chosen;
    const [first] = this.#attempts;
    return first;
  }

  #hasAttemptsLeft(): boolean {
    if (this.#made === 0) return true;
    return this.#mayHedge && this.#made < this.#maxAttempts && this.#environment.throttle?.allows !== false;
  }

  #choose(attempt: Attempt): void {
    this.#chosen = attempt;
    this.dropAttempts(attempt);
    if (this.#isReadingPaused) attempt.call.pause();
  }

  /** What can't be kept isn't sent again: the attempt that got furthest is the one. */
  #keep(bytes: number): void {
    const { budget, maxCallBytes } = this.#environment;
    if (this.#keptBytes + bytes <= maxCallBytes && budget.take(bytes)) {
      this.#keptBytes += bytes;
      return;
    }
    this.#mayHedge = false;
    this.#owner.stopWaiting(this);
  }

  #attemptOptions(): StartOptions {
    return {
      metadata: this.metadata,
      waitForReady: this.waitForReady,
      isBackground: this.isBackground,
      compression: this.#options?.compression,
      ...(this.deadlineAt === 0 ? {} : { timeoutMs: Math.max(1, this.deadlineAt - deadlines.now()) }),
    };
  }
}

/** One attempt of a hedged call, as its listener. */
class Attempt implements CallListener {
  readonly #hedged: HedgedCall;
  call!: ClientCall;

  constructor(hedged: HedgedCall) {
    this.#hedged = hedged;
  }

  onHeaders(headers: HeaderList): void {
    this.#hedged.onAttemptHeaders(this, headers);
  }

  onMessage(message: Buffer): void {
    this.#hedged.onAttemptMessage(message);
  }

  onWritable(): void {
    this.#hedged.onAttemptWritable(this);
  }

  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    this.#hedged.onAttemptStatus(this, status, details, trailers, cause);
  }
}

/** Hears of a hedged call's end, whichever way it comes: its deadline, its caller, or an attempt. */
class Ending implements CallListener {
  readonly #listener: CallListener;
  call: HedgedCall | undefined;

  constructor(listener: CallListener) {
    this.#listener = listener;
  }

  onHeaders(): void {
    // Attempts tell of theirs.
  }

  onMessage(): void {
    // As above.
  }

  onWritable(): void {
    // As above.
  }

  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    this.call?.dropAttempts();
    this.#listener.onStatus(status, details, trailers, cause);
  }
}
