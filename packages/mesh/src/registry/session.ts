import { RpcError, type StatusName } from "@weft/grpc";
import type { Down, Exports, Up } from "@weft/xds-api/weft/registry/v1/registry";
import { RequestBudget } from "../authn/request-budget.ts";
import type { DiagnosticCode } from "../model/diagnostic-codes.ts";
import { StoreError } from "../store/database.ts";
import type { CredentialBounds } from "./credential-bounds.ts";
import type { Refusal } from "./interface-names.ts";
import { Outbox } from "./outbox.ts";
import { type Registration, workloadFor } from "./registration.ts";
import type { Registry } from "./registry.ts";

/** Who is at the other end, as the server knows it. */
export interface SessionContext {
  /** What the credential of the call proves. */
  readonly bounds: CredentialBounds;
  /** The peer's IP address, without its port. */
  readonly peerAddress: string;
  /** Aborts when the call is cancelled or its connection is gone. */
  readonly signal: AbortSignal;
}

/** The status that a refused Hello ends with; only one that may go better later invites another attempt. */
const refusalStatus: Partial<Record<DiagnosticCode, StatusName>> = {
  WEFT0202: "INVALID_ARGUMENT",
  WEFT0209: "RESOURCE_EXHAUSTED",
};

// Answers that may wait for a peer that is slow to read; honest peers have a handful.
const outboxLimit = 4_096;

/**
 * Serves one registry session: yields what goes down while it reads what comes up.
 *
 * Ends when the peer half-closes, the call is cancelled, or the registry closes; throws RpcError for a session that may
 * not be (PERMISSION_DENIED), is malformed (INVALID_ARGUMENT) or asks too much (RESOURCE_EXHAUSTED).
 */
export async function* serveSession(
  registry: Registry,
  requests: AsyncIterable<Up>,
  context: SessionContext,
): AsyncGenerator<Down> {
  const session = new Session(registry, context);
  session.start(requests);
  try {
    yield* session.outbox;
  } finally {
    session.close();
  }
}

class Session {
  readonly outbox = new Outbox<Down>(outboxLimit);
  readonly #registry: Registry;
  readonly #context: SessionContext;
  readonly #closing = new AbortController();
  readonly #helloTimer: () => void;
  #registration: Registration | undefined;
  #seq: bigint | undefined;
  /** The last Exports that was taken, as a whole or in part. */
  #exports: Exports | undefined;
  readonly #budget: RequestBudget;

  constructor(registry: Registry, context: SessionContext) {
    this.#registry = registry;
    this.#context = context;
    const { clock } = registry.options;
    const { messagesPerSecond, messageBurst } = registry.limits;
    this.#budget = new RequestBudget(messagesPerSecond, messageBurst, clock.now());
    this.#helloTimer = clock.schedule(registry.limits.helloMs, () =>
      this.outbox.end(new RpcError("DEADLINE_EXCEEDED", "no Hello in time")),
    );
    context.signal.addEventListener("abort", this.#cancelled, { once: true });
    if (context.signal.aborted) this.#cancelled();
  }

  start(requests: AsyncIterable<Up>): void {
    this.#read(requests).then(
      () => this.outbox.end(),
      (error) => this.outbox.end(endFor(error)),
    );
  }

  close(): void {
    this.outbox.end();
    this.#helloTimer();
    this.#closing.abort();
    this.#context.signal.removeEventListener("abort", this.#cancelled);
    // A registration that another session took over is no longer this one's to release.
    if (this.#registration?.endSession === this.#superseded) this.#registry.release(this.#registration);
  }

  readonly #cancelled = (): void => {
    this.outbox.end();
  };

  readonly #superseded = (reason: string): void => {
    if (this.#registry.isClosed) {
      this.#send({ $case: "goAway", value: {} });
      this.outbox.end();
    } else {
      this.outbox.end(new RpcError("ABORTED", reason));
    }
  };

  async #read(requests: AsyncIterable<Up>): Promise<void> {
    if (this.#registry.isClosed) throw new RpcError("UNAVAILABLE", "the control plane is stopping");
    for await (const { message } of requests) {
      if (this.outbox.isEnded) return;
      if (!this.#budget.spend(this.#registry.options.clock.now())) {
        throw new RpcError("RESOURCE_EXHAUSTED", "too many messages on one session");
      }
      if (message === undefined) throw new RpcError("INVALID_ARGUMENT", "a message without content");
      if (message.$case === "hello") {
        this.#hello(message.value);
        continue;
      }
      const registration = this.#registration;
      if (registration === undefined) throw new RpcError("INVALID_ARGUMENT", "the first message is not Hello");
      if (message.$case === "exports") this.#take(registration, message.value);
      else this.#drain(registration);
    }
  }

  #hello(hello: Parameters<Registry["open"]>[0]): void {
    if (this.#registration !== undefined) throw new RpcError("INVALID_ARGUMENT", "a second Hello");
    this.#helloTimer();
    const { bounds, peerAddress } = this.#context;
    const opened = this.#registry.open(hello, bounds, peerAddress, this.#superseded);
    if ("code" in opened) {
      this.#reject(0n, opened);
      throw new RpcError(refusalStatus[opened.code] ?? "PERMISSION_DENIED", `${opened.code}: ${opened.reason}`);
    }
    this.#registration = opened;
  }

  #take(registration: Registration, exports: Exports): void {
    if (this.#seq !== undefined && exports.seq <= this.#seq) {
      throw new RpcError("INVALID_ARGUMENT", "seq does not rise");
    }
    this.#seq = exports.seq;
    this.#offer(registration, exports);
  }

  #offer(registration: Registration, exports: Exports): void {
    const { seq } = exports;
    const answer = this.#registry.accept(registration, exports);
    if ("code" in answer) {
      this.#reject(seq, answer);
      return;
    }
    this.#exports = exports;
    for (const refused of answer.refusals) this.#reject(seq, refused);
    registration.reconsider = answer.refusals.some((refused) => refused.code === "WEFT0203")
      ? () => this.#reconsider(registration)
      : undefined;
    this.#publish(registration, seq);
  }

  #reconsider(registration: Registration): void {
    registration.reconsider = undefined;
    // Not at once: whoever freed the port is in the middle of its own change.
    queueMicrotask(() => {
      if (this.outbox.isEnded || this.#exports === undefined || registration.state !== "LIVE") return;
      this.#offer(registration, this.#exports);
    });
  }

  #publish(registration: Registration, seq: bigint): void {
    const { options } = this.#registry;
    const published = options.publish(this.#registry.workloads());
    const { spiffeId } = registration.claim;
    const hosts = [...options.hostsOf(workloadFor(registration))];
    this.#send({ $case: "accepted", value: { seq, spiffeId, hosts } });
    published.then(
      () => this.#send({ $case: "published", value: { seq } }),
      (error) => this.outbox.end(new RpcError("UNAVAILABLE", "the registration was not published", { cause: error })),
    );
  }

  #drain(registration: Registration): void {
    if (registration.state === "DRAINING") return;
    this.#registry.drain(registration);
    const { options, limits } = this.#registry;
    const published = options.publish(this.#registry.workloads());
    // Whoever waits for clients stops waiting at the limit, or when nobody is there to be told any more.
    const waiting = new AbortController();
    const cancelTimer = options.clock.schedule(limits.drainMs, () => waiting.abort(new Error("the limit is over")));
    const { signal } = this.#closing;
    signal.addEventListener("abort", () => waiting.abort(signal.reason), { once: true });
    const released = published.then(() => options.released(workloadFor(registration), waiting.signal));
    Promise.race([released, aborted(waiting.signal)])
      // Where nobody can tell whether clients let go, the time limit decides.
      .catch(() => aborted(waiting.signal))
      .then(() => {
        cancelTimer();
        this.#send({ $case: "safeToStop", value: {} });
      });
  }

  #reject(seq: bigint, refused: Refusal): void {
    const { subject, code, reason } = refused;
    this.#send({ $case: "rejected", value: { seq, subject, code, reason } });
  }

  #send(message: NonNullable<Down["message"]>): void {
    this.outbox.push({ message });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function endFor(error: unknown): Error {
  if (error instanceof StoreError) {
    return new RpcError("UNAVAILABLE", "the registration could not be kept", { cause: error });
  }
  return error instanceof Error ? error : new Error(String(error));
}
