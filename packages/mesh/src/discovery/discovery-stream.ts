import type { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { ClientNode, ClientStatus, DiscoveryEvent } from "./client-status.ts";
import type { Refusal } from "./limits.ts";
import type { EncodedResponse } from "./response.ts";
import type { StreamState } from "./stream-state.ts";
import { WakeUp } from "./wake-up.ts";

/** Who is at the other end of an open stream. */
export interface StreamPeer {
  readonly streamId: string;
  readonly node: ClientNode;
  readonly identity: string | undefined;
  readonly peer: string;
  readonly connectedAtMs: number;
}

export interface DiscoveryStreamOptions {
  readonly peer: StreamPeer;
  readonly state: StreamState;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Told after every step; `undefined` when the stream merely found that it has nothing (more) to say. */
  readonly onProgress: (kind: DiscoveryEvent["kind"] | undefined, typeUrl: string | undefined) => void;
}

type Ending = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: unknown };

/**
 * An open ADS stream: the pure state, and the two loops that carry requests into it and responses out of it.
 *
 * Responses are made when the transport asks for the next one, never ahead: a slow reader gets the newest state then.
 */
export class DiscoveryStream {
  readonly peer: StreamPeer;
  readonly state: StreamState;
  readonly #options: DiscoveryStreamOptions;
  readonly #wakeUp = new WakeUp();
  #ending: Ending | undefined;

  constructor(options: DiscoveryStreamOptions) {
    this.peer = options.peer;
    this.state = options.state;
    this.#options = options;
  }

  status(): ClientStatus {
    return { ...this.peer, types: this.state.status() };
  }

  /** Takes note of a change in the source; the loop looks at it once the source is done. */
  changed(typeUrl: string, name: string | undefined): void {
    this.state.changed(typeUrl, name);
    this.#wakeUp.ring();
  }

  /** Ends the stream from our side. */
  fail(error: unknown): void {
    this.#finish({ kind: "failed", error });
  }

  /** The responses, until the client ends its requests, the call is aborted or a request is refused (then it throws). */
  async *run(
    first: DiscoveryRequest,
    rest: AsyncIterator<DiscoveryRequest>,
    toError: (refusal: Refusal) => Error,
  ): AsyncGenerator<EncodedResponse, void, undefined> {
    const { signal, now, onProgress } = this.#options;
    const onAbort = (): void => this.#finish({ kind: "done" });
    signal.addEventListener("abort", onAbort);
    try {
      if (signal.aborted) return;
      this.#take(first, toError);
      void this.#read(rest, toError);
      for (;;) {
        if (this.#ending?.kind === "failed") throw this.#ending.error;
        if (this.#ending !== undefined) return;
        const response = this.state.next(now());
        if (response === undefined) {
          onProgress(undefined, undefined);
          await this.#wakeUp.wait();
        } else {
          onProgress("sent", response.typeUrl);
          yield response;
        }
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#finish({ kind: "done" });
    }
  }

  async #read(rest: AsyncIterator<DiscoveryRequest>, toError: (refusal: Refusal) => Error): Promise<void> {
    try {
      while (this.#ending === undefined) {
        const next = await rest.next();
        if (next.done === true) break;
        this.#take(next.value, toError);
      }
      this.#finish({ kind: "done" });
    } catch (error) {
      this.#finish({ kind: "failed", error });
    }
  }

  #take(request: DiscoveryRequest, toError: (refusal: Refusal) => Error): void {
    const outcome = this.state.request(request, this.#options.now());
    if (outcome.kind === "refused") throw toError(outcome.refusal);
    if (outcome.answered !== undefined) this.#options.onProgress(outcome.answered, request.typeUrl);
    this.#wakeUp.ring();
  }

  #finish(ending: Ending): void {
    this.#ending ??= ending;
    this.#wakeUp.ring();
  }
}
