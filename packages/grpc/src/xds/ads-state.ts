// The client's side of one ADS stream after another as a state machine (state of the world; gRFC A27, A46, A57): what is
// subscribed, what came, what to acknowledge and what to ask next. It does no I/O and has no clock: the stream feeds it
// events with the time and sends what `takeRequests` gives. Over 300 lines, as one machine with one set of invariants.
import { isDeepStrictEqual } from "node:util";
import { unpack } from "@weft/xds-api";
import { Resource } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import type { ResourceType } from "./resource-type.ts";
import type { ParseEnvironment } from "./tls-context.ts";

/** What is known of one subscribed resource. The same object until something changes. */
export type ResourceStatus<T> =
  /** Asked for, or about to be: no answer yet. */
  | { readonly kind: "requested" }
  /** In force. `problem`: the control plane sent newer content that was refused; this is the last good one. */
  | { readonly kind: "present"; readonly config: T; readonly problem?: string }
  /** The control plane deleted it, or did not send it in time. */
  | { readonly kind: "absent" }
  /** The only content that ever came was refused. */
  | { readonly kind: "refused"; readonly problem: string };

/** A request as the state machine wants it sent; the stream adds the node to its first. */
export interface AdsRequest {
  readonly typeUrl: string;
  readonly versionInfo: string;
  readonly resourceNames: readonly string[];
  readonly responseNonce: string;
  /** Makes it a NACK. */
  readonly problem?: string;
}

/** The parts of a DiscoveryResponse that count. */
export interface AdsResponse {
  readonly typeUrl: string;
  readonly versionInfo: string;
  readonly nonce: string;
  readonly resources: readonly Any[];
}

export interface AdsStateOptions {
  readonly types: readonly ResourceType<unknown>[];
  readonly environment: ParseEnvironment;
  /** gRFC A53: what the control plane leaves out stays in force. */
  readonly ignoreResourceDeletion?: boolean;
  /** How long a connected control plane may take to send a resource before it counts as absent. */
  readonly resourceTimeoutMs?: number;
  /** The status of a resource changed; called while an event is worked on, so only note it. */
  readonly changed: (typeUrl: string, name: string) => void;
}

interface Entry {
  status: ResourceStatus<unknown>;
  /** The bytes of the last content seen, accepted or refused. */
  bytes: Uint8Array | undefined;
  /** When to give up waiting; only while the name is asked for on a living stream. */
  expiresAt: number | undefined;
  /** Whether the living stream's last request had the name. */
  isAsked: boolean;
  /** False: nobody needs it any more, but the control plane has not heard so yet. */
  isWanted: boolean;
}

interface TypeState {
  readonly type: ResourceType<unknown>;
  readonly entries: Map<string, Entry>;
  /** The last version accepted. */
  version: string;
  nonce: string;
  /** A refusal that the next request carries. */
  problem: string | undefined;
  isDirty: boolean;
  /** Something was asked on the living stream. */
  hasAsked: boolean;
}

const requested = { kind: "requested" } as const;
const absent = { kind: "absent" } as const;
const wrapperUrl = "type.googleapis.com/envoy.service.discovery.v3.Resource";
const problemsTold = 10;

export class AdsState {
  readonly #options: AdsStateOptions;
  readonly #types = new Map<string, TypeState>();
  #isStreaming = false;

  constructor(options: AdsStateOptions) {
    this.#options = options;
    for (const type of options.types) {
      this.#types.set(type.typeUrl, {
        type,
        entries: new Map(),
        version: "",
        nonce: "",
        problem: undefined,
        isDirty: false,
        hasAsked: false,
      });
    }
  }

  /** Starts asking for a resource; asking twice is asking once. */
  subscribe(typeUrl: string, name: string): void {
    const state = this.#state(typeUrl);
    const entry = state.entries.get(name);
    if (entry?.isWanted === true) return;
    state.isDirty = true;
    if (entry !== undefined) entry.isWanted = true;
    else {
      state.entries.set(name, {
        status: requested,
        bytes: undefined,
        expiresAt: undefined,
        isAsked: false,
        isWanted: true,
      });
    }
  }

  /**
   * Stops asking for a resource, which is forgotten with the next request. Not before: asked for again until then, the
   * control plane would see no difference between its two lists and send nothing.
   */
  unsubscribe(typeUrl: string, name: string): void {
    const state = this.#state(typeUrl);
    const entry = state.entries.get(name);
    if (entry === undefined) return;
    entry.isWanted = false;
    state.isDirty = true;
  }

  /** What is known of a subscribed resource. */
  status(typeUrl: string, name: string): ResourceStatus<unknown> {
    return this.#state(typeUrl).entries.get(name)?.status ?? requested;
  }

  /** A stream is open: everything subscribed is asked for again. */
  streamStarted(): void {
    this.#isStreaming = true;
    for (const state of this.#types.values()) {
      state.nonce = "";
      state.problem = undefined;
      state.hasAsked = false;
      state.isDirty = state.entries.size > 0;
    }
  }

  /** The stream is gone: what was in force stays, and nobody is late any more. */
  streamEnded(): void {
    this.#isStreaming = false;
    for (const state of this.#types.values()) {
      for (const entry of state.entries.values()) {
        entry.expiresAt = undefined;
        entry.isAsked = false;
      }
    }
  }

  /** What has to be sent now, oldest need first; one request per type. Empty without a stream. */
  takeRequests(nowMs: number): AdsRequest[] {
    const requests: AdsRequest[] = [];
    if (!this.#isStreaming) return requests;
    for (const state of this.#types.values()) {
      if (!state.isDirty) continue;
      state.isDirty = false;
      for (const [name, entry] of state.entries) if (!entry.isWanted) state.entries.delete(name);
      // On a stream that asked for nothing of this type yet, an empty list would mean "everything" to Envoy's servers.
      if (state.entries.size === 0 && !state.hasAsked) continue;
      requests.push(this.#request(state, nowMs));
    }
    return requests;
  }

  #request(state: TypeState, nowMs: number): AdsRequest {
    let isComplete = true;
    for (const entry of state.entries.values()) {
      if (entry.status.kind !== "present") isComplete = false;
      if (!entry.isAsked && entry.status.kind === "requested") {
        entry.expiresAt = nowMs + (this.#options.resourceTimeoutMs ?? 15_000);
      }
      entry.isAsked = true;
    }
    // A new stream tells the version it has only when it has all of it: a server may answer an equal version with silence.
    const versionInfo = state.hasAsked || isComplete ? state.version : "";
    const request = {
      typeUrl: state.type.typeUrl,
      versionInfo,
      resourceNames: [...state.entries.keys()],
      responseNonce: state.nonce,
    };
    const { problem } = state;
    state.problem = undefined;
    state.hasAsked = true;
    return problem === undefined ? request : { ...request, problem };
  }

  /** When `expire` has to be called next; undefined while nobody can be late. */
  nextExpiryMs(): number | undefined {
    let next: number | undefined;
    for (const state of this.#types.values()) {
      for (const { expiresAt } of state.entries.values()) {
        if (expiresAt !== undefined && (next === undefined || expiresAt < next)) next = expiresAt;
      }
    }
    return next;
  }

  /** Counts as absent what did not come in time. */
  expire(nowMs: number): void {
    for (const state of this.#types.values()) {
      for (const [name, entry] of state.entries) {
        if (entry.expiresAt === undefined || entry.expiresAt > nowMs) continue;
        entry.expiresAt = undefined;
        this.#set(state, name, entry, absent);
      }
    }
  }

  /**
   * Takes a response in: valid resources are applied, refused ones keep their last good content, and the next request
   * acknowledges all of it or says what was refused. Returns whether it was of a type that this client speaks.
   */
  receive(response: AdsResponse): boolean {
    const state = this.#types.get(response.typeUrl);
    if (state === undefined) return false;
    const problems: string[] = [];
    const seen = new Set<string>();
    let hasNameless = false;
    for (const [index, any] of response.resources.entries()) {
      const resource = this.#unwrap(state, any);
      if (typeof resource === "string") {
        problems.push(`resource ${index}: ${resource}`);
        hasNameless = true;
        continue;
      }
      const outcome = this.#apply(state, resource);
      if (outcome.name === undefined) hasNameless = true;
      else seen.add(outcome.name);
      if (outcome.problem !== undefined) {
        problems.push(
          `${outcome.name === undefined ? `resource ${index}` : JSON.stringify(outcome.name)}: ${outcome.problem}`,
        );
      }
    }
    // A resource that doesn't say its name may be any of those that seem to be missing.
    if (state.type.isFullState && !hasNameless) this.#deleteUnseen(state, seen);
    state.nonce = response.nonce;
    state.isDirty = true;
    state.problem = problems.length === 0 ? undefined : summary(state.type.title, problems);
    if (problems.length === 0) state.version = response.versionInfo;
    return true;
  }

  /** The bytes of a resource, or why there are none. */
  #unwrap(state: TypeState, any: Any): Uint8Array | string {
    let inner = any;
    if (any.typeUrl === wrapperUrl) {
      try {
        inner = unpack(any, wrapperUrl, Resource)?.resource ?? any;
      } catch (error) {
        return `malformed: ${String(error)}`;
      }
    }
    return inner.typeUrl === state.type.typeUrl
      ? inner.value
      : `type ${JSON.stringify(inner.typeUrl)} in a response of ${state.type.title}`;
  }

  #apply(state: TypeState, bytes: Uint8Array): { name: string | undefined; problem?: string } {
    const leading = leadingName(bytes);
    const known = leading === undefined ? undefined : state.entries.get(leading);
    if (leading !== undefined && known?.bytes !== undefined && sameBytes(known.bytes, bytes)) {
      const problem = problemOf(known.status);
      return problem === undefined ? { name: leading } : { name: leading, problem };
    }
    const parsed = state.type.parse(bytes, this.#options.environment);
    const entry = parsed.name === undefined ? undefined : state.entries.get(parsed.name);
    if (parsed.name === undefined) return { name: undefined, problem: parsed.kind === "invalid" ? parsed.problem : "" };
    // What nobody asked for, or no longer: not worth a refusal.
    if (entry === undefined) return { name: parsed.name };
    entry.bytes = bytes.slice();
    entry.expiresAt = undefined;
    if (parsed.kind === "valid") {
      this.#accept(state, parsed.name, entry, parsed.config);
      return { name: parsed.name };
    }
    const { status } = entry;
    this.#set(
      state,
      parsed.name,
      entry,
      status.kind === "present" ? { ...status, problem: parsed.problem } : { kind: "refused", problem: parsed.problem },
    );
    return { name: parsed.name, problem: parsed.problem };
  }

  #accept(state: TypeState, name: string, entry: Entry, config: unknown): void {
    const { status } = entry;
    // Whoever reads the status compares by identity: equal content must stay the same object.
    const isSame = status.kind === "present" && isDeepStrictEqual(status.config, config);
    if (isSame && status.problem === undefined) return;
    this.#set(state, name, entry, { kind: "present", config: isSame ? status.config : config });
  }

  #deleteUnseen(state: TypeState, seen: ReadonlySet<string>): void {
    for (const [name, entry] of state.entries) {
      // Only what the control plane had sent can be deleted by leaving it out; the rest is still awaited.
      if (seen.has(name) || (entry.status.kind !== "present" && entry.status.kind !== "refused")) continue;
      if (this.#options.ignoreResourceDeletion === true && entry.status.kind === "present") continue;
      entry.bytes = undefined;
      this.#set(state, name, entry, absent);
    }
  }

  #set(state: TypeState, name: string, entry: Entry, status: ResourceStatus<unknown>): void {
    const before = entry.status;
    if (status.kind === "absent" && before.kind === "absent") return;
    if (status.kind === "refused" && before.kind === "refused" && status.problem === before.problem) return;
    entry.status = status;
    this.#options.changed(state.type.typeUrl, name);
  }

  #state(typeUrl: string): TypeState {
    const state = this.#types.get(typeUrl);
    if (state === undefined) throw new Error(`${typeUrl} is not one of this client's resource types`);
    return state;
  }
}

function problemOf(status: ResourceStatus<unknown>): string | undefined {
  return status.kind === "present" || status.kind === "refused" ? status.problem : undefined;
}

function summary(title: string, problems: readonly string[]): string {
  const told = problems.slice(0, problemsTold).join("; ");
  return `${title}: ${told}${problems.length > problemsTold ? `; and ${problems.length - problemsTold} more` : ""}`;
}

const decoder = new TextDecoder();

/** The name of a resource whose bytes begin with it (field 1 of all four types), without decoding the rest. */
function leadingName(bytes: Uint8Array): string | undefined {
  const length = bytes[1];
  if (bytes[0] !== 0x0a || length === undefined) return undefined;
  if (length < 0x80) return decoder.decode(bytes.subarray(2, 2 + length));
  const high = bytes[2];
  if (high === undefined || high >= 0x80) return undefined;
  return decoder.decode(bytes.subarray(3, 3 + (length & 0x7f) + (high << 7)));
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}
