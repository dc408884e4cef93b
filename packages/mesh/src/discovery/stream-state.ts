import type { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { RequestBudget } from "../authn/request-budget.ts";
import type { TypeStatus } from "./client-status.ts";
import type { Keepsake } from "./keepsakes.ts";
import type { DiscoveryLimits, Refusal } from "./limits.ts";
import { resourceKind } from "./resource-kinds.ts";
import type { ResourceWatch } from "./resource-source.ts";
import type { EncodedResponse } from "./response.ts";
import { TypeSubscription } from "./type-subscription.ts";

export interface StreamStateOptions {
  readonly nodeId: string;
  readonly watch: ResourceWatch;
  /** Whether an empty list of names may mean "all": true for generic clients, false for gRPC, which never means that. */
  readonly acceptsWildcard: boolean;
  readonly limits: DiscoveryLimits;
  /** Sets this stream's nonces apart from every other stream's. */
  readonly nonceTag: string;
  readonly remembered: (typeUrl: string, name: string) => Keepsake | undefined;
  readonly nowMs: number;
}

/** What became of a request. */
export type RequestOutcome =
  | { readonly kind: "taken"; readonly answered: "acked" | "nacked" | undefined }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/**
 * One ADS stream, state of the world: requests and changes in, responses out, no I/O.
 *
 * The rules: a response is sent only when its type has none unanswered; what is asked is always answered, also when it was
 * asked, dropped and asked again; a request with an old nonce says nothing about any response, but its names are still the
 * client's newest word (requests of a stream come in order), so that dropping a name in one is never overlooked.
 */
export class StreamState {
  readonly #options: StreamStateOptions;
  readonly #types = new Map<string, TypeSubscription>();
  readonly #budget: RequestBudget;
  #turn = 0;
  #nonce = 0;

  constructor(options: StreamStateOptions) {
    this.#options = options;
    const { limits, nowMs } = options;
    this.#budget = new RequestBudget(limits.requestsPerSecond, limits.requestBurst, nowMs);
  }

  /** Takes a request; the caller then drains `next`, or ends the stream where it was refused. */
  request(request: DiscoveryRequest, nowMs: number): RequestOutcome {
    const refusal = this.#check(request, nowMs);
    if (refusal !== undefined) return { kind: "refused", refusal };
    const type = this.#type(request.typeUrl, nowMs);
    if (type === undefined) return { kind: "taken", answered: undefined };
    const answered = type.answer(request.responseNonce, nackReason(request), nowMs);
    type.setNames(
      request.resourceNames.filter((name) => name !== ""),
      ++this.#turn,
      nowMs,
    );
    return { kind: "taken", answered };
  }

  /** Takes note of a change in the source. */
  changed(typeUrl: string, name: string | undefined): void {
    this.#types.get(typeUrl)?.markChanged(name);
  }

  /**
   * The next response to send, or undefined where there is nothing to say for now. Called only when the transport can take
   * one more, so whatever piles up meanwhile is one newest state.
   */
  next(nowMs: number): EncodedResponse | undefined {
    for (const type of this.#inOrder()) {
      const response = type.take(`${this.#options.nonceTag}.${this.#nonce + 1}`, nowMs);
      if (response !== undefined) {
        this.#nonce++;
        return response;
      }
      // A wildcard subscriber takes routes as they come: none may overtake a cluster that is still held back.
      if (type.isWildcard && type.isPending) return undefined;
    }
    return undefined;
  }

  status(): TypeStatus[] {
    return [...this.#types.values()].map((type) => type.status());
  }

  type(typeUrl: string): TypeSubscription | undefined {
    return this.#types.get(typeUrl);
  }

  /** Type by type, what to remember of this client when the stream ends: see `TypeSubscription.keepsakes`. */
  keepsakes(): ReadonlyMap<string, readonly Keepsake[]> {
    return new Map([...this.#types].map(([typeUrl, type]) => [typeUrl, type.keepsakes()]));
  }

  #check(request: DiscoveryRequest, nowMs: number): Refusal | undefined {
    const { limits, nodeId } = this.#options;
    if (!this.#budget.spend(nowMs)) {
      return exhausted(`more than ${limits.requestsPerSecond} discovery requests per second`);
    }
    if (request.typeUrl === "") return { code: "INVALID_ARGUMENT", message: "type_url is missing" };
    if (request.node !== undefined && request.node.id !== "" && request.node.id !== nodeId) {
      return { code: "INVALID_ARGUMENT", message: "node.id changed in the middle of the stream" };
    }
    if (request.resourceNames.length > limits.maxNamesPerType) {
      return exhausted(`more than ${limits.maxNamesPerType} resource names in one request`);
    }
    if (request.resourceNames.some((name) => name.length > limits.maxNameLength)) {
      return exhausted(`a resource name longer than ${limits.maxNameLength} characters`);
    }
    return undefined;
  }

  /** The state of a type; undefined for types that are not served: a client that asks for one is not cut off for it. */
  #type(typeUrl: string, nowMs: number): TypeSubscription | undefined {
    const existing = this.#types.get(typeUrl);
    const kind = resourceKind(typeUrl);
    if (existing !== undefined || kind === undefined) return existing;
    const { watch, acceptsWildcard, limits, remembered } = this.#options;
    const type = new TypeSubscription(
      {
        typeUrl,
        kind,
        watch,
        acceptsWildcard,
        maxResponseBytes: limits.maxResponseBytes,
        remembered: (name) => remembered(typeUrl, name),
      },
      nowMs,
    );
    this.#types.set(typeUrl, type);
    return type;
  }

  /** By-name clients: as they asked, then changes, clusters before routes. Wildcard: clusters before routes, always. */
  #inOrder(): readonly TypeSubscription[] {
    const ranked = [...this.#types].sort(([a], [b]) => rank(a) - rank(b)).map(([, type]) => type);
    if (ranked.some((type) => type.isWildcard)) return ranked;
    return ranked.sort((a, b) => (a.dueSince ?? notAsked) - (b.dueSince ?? notAsked));
  }
}

const notAsked = Number.MAX_SAFE_INTEGER;

function rank(typeUrl: string): number {
  return resourceKind(typeUrl)?.rank ?? notAsked;
}

function nackReason(request: DiscoveryRequest): string | undefined {
  return request.errorDetail === undefined ? undefined : request.errorDetail.message || "no reason given";
}

function exhausted(message: string): Refusal {
  return { code: "RESOURCE_EXHAUSTED", message };
}
