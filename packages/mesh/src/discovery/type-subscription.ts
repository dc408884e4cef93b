import type { Nack, TypeStatus } from "./client-status.ts";
import type { Keepsake } from "./keepsakes.ts";
import { attributeNack } from "./nack-attribution.ts";
import { accept, askedAgain, askedFirst, contentFor, lastGood, type NameState, refuse } from "./name-state.ts";
import type { ResourceKind } from "./resource-kinds.ts";
import type { Resource, ResourceWatch } from "./resource-source.ts";
import { type EncodedResponse, versionOf } from "./response.ts";

interface Carried {
  readonly state: NameState;
  /** Undefined where a full-state response deletes the name by leaving it out. */
  readonly resource: Resource | undefined;
}

interface Outstanding {
  readonly nonce: string;
  readonly version: string;
  readonly generation: number;
  readonly carried: readonly Carried[];
}

export interface TypeSubscriptionOptions {
  readonly typeUrl: string;
  readonly kind: ResourceKind;
  readonly watch: ResourceWatch;
  readonly acceptsWildcard: boolean;
  readonly maxResponseBytes: number;
  /** What the same client had on an earlier stream, where that still matters. */
  readonly remembered: (name: string) => Keepsake | undefined;
}

/**
 * One resource type of one stream: what is subscribed, what the client has, what it is owed.
 *
 * At most one response is unanswered at a time. So a NACK is always about a known response, a slow client gets the newest
 * state when it is ready for it, and memory is bounded by the subscription. No I/O: time comes in, responses come out.
 */
export class TypeSubscription {
  readonly #options: TypeSubscriptionOptions;
  readonly #names = new Map<string, NameState>();
  /** Names that the client refused and then unsubscribed: what it accepted before is still the better answer. */
  readonly #parted = new Map<string, NameState>();
  readonly #dirty = new Set<NameState>();
  #explicit: ReadonlySet<string> = new Set();
  #isWildcard = false;
  #isListStale = false;
  #hasNamed = false;
  #dueSince: number | undefined;
  #outstanding: Outstanding | undefined;
  #generation = 0;
  #settledGeneration = 0;
  #sinceMs: number;
  #sentVersion: string | undefined;
  #ackedVersion: string | undefined;
  #nack: Nack | undefined;

  constructor(options: TypeSubscriptionOptions, nowMs: number) {
    this.#options = options;
    this.#sinceMs = nowMs;
  }

  get isWildcard(): boolean {
    return this.#isWildcard;
  }

  /** Something waits to be looked at; whether it makes a response, `take` says. */
  get isPending(): boolean {
    return this.#dueSince !== undefined || this.#dirty.size > 0 || this.#isListStale;
  }

  get isAwaitingAnswer(): boolean {
    return this.#outstanding !== undefined;
  }

  /** The turn (see `setNames`) since which the client waits for an answer; undefined where it waits for none. */
  get dueSince(): number | undefined {
    return this.#dueSince;
  }

  /** Grows with every change that concerns this client; `settledGeneration` follows as the client answers. */
  get generation(): number {
    return this.#generation;
  }

  get settledGeneration(): number {
    return this.#settledGeneration;
  }

  /** Replaces the set of names by the client's newest; `turn` orders what the client asks across types. */
  setNames(names: readonly string[], turn: number, nowMs: number): void {
    const { kind, acceptsWildcard } = this.#options;
    const explicit = new Set(names);
    const wasWildcard = this.#isWildcard;
    // "No names" means everything to a client that has never named one; after that it means nothing (xDS, "How the
    // client specifies what resources to return"). To gRPC it never means everything: see `acceptsWildcard`.
    this.#isWildcard =
      kind.isFullState && acceptsWildcard && (explicit.delete("*") || (explicit.size === 0 && !this.#hasNamed));
    this.#hasNamed ||= names.length > 0;
    const hasOtherNames = !isSameSet(explicit, this.#explicit);
    this.#explicit = explicit;
    let isAsking = this.#isWildcard !== wasWildcard;
    if (this.#isWildcard) this.#isListStale ||= isAsking || hasOtherNames;
    else {
      this.#isListStale = false;
      isAsking = this.#reconcile(explicit).hasNew;
    }
    if (!isAsking) return;
    this.#dueSince ??= turn;
    this.#sinceMs = nowMs;
    this.#generation++;
  }

  /** Notes that the source's answer for `name` (or its list of names) may be another one now. */
  markChanged(name: string | undefined): void {
    if (name === undefined) {
      if (!this.#isWildcard) return;
      this.#isListStale = true;
    } else {
      const state = this.#names.get(name);
      if (state === undefined) return;
      this.#dirty.add(state);
    }
    this.#generation++;
  }

  /** The next response, or undefined where nothing is to be said; never while one is unanswered. */
  take(nonce: string, nowMs: number): EncodedResponse | undefined {
    if (this.#outstanding !== undefined || !this.isPending) return undefined;
    const { kind, typeUrl } = this.#options;
    const hasOtherNames = this.#isListStale && this.#takeList();
    const carried = kind.isFullState ? this.#takeWholeSet(hasOtherNames) : this.#takeChanged();
    const generation = this.#dirty.size === 0 ? this.#generation : this.#settledGeneration;
    if (carried === undefined) {
      this.#settledGeneration = generation;
      return undefined;
    }
    this.#dueSince = undefined;
    const resources: Resource[] = [];
    for (const { state, resource } of carried) {
      state.isOwed = false;
      state.sent = resource;
      if (resource !== undefined) resources.push(resource);
    }
    const version = versionOf(resources);
    this.#outstanding = { nonce, version, generation, carried };
    this.#sentVersion = version;
    this.#sinceMs = nowMs;
    return { typeUrl, versionInfo: version, nonce, resources };
  }

  /** Takes the client's answer to the response of `nonce`; undefined where that is not the unanswered one. */
  answer(nonce: string, error: string | undefined, nowMs: number): "acked" | "nacked" | undefined {
    const outstanding = this.#outstanding;
    if (outstanding === undefined || outstanding.nonce !== nonce) return undefined;
    this.#outstanding = undefined;
    this.#settledGeneration = outstanding.generation;
    this.#sinceMs = nowMs;
    if (error !== undefined) {
      this.#takeNack(outstanding, error, nowMs);
      return "nacked";
    }
    for (const { state, resource } of outstanding.carried) accept(state, resource);
    this.#ackedVersion = outstanding.version;
    return "acked";
  }

  /** Whether the client acknowledged exactly what the source has for `name`; true where it has nothing of that name. */
  hasAcknowledged(name: string): boolean {
    const state = this.#names.get(name);
    if (state === undefined) return true;
    const current = this.#options.watch.get(this.#options.typeUrl, name);
    return !state.isOwed && state.acked?.hash === current?.hash && state.sent?.hash === current?.hash;
  }

  status(): TypeStatus {
    const isNacked = [...this.#names.values()].some(
      (state) =>
        state.rejected !== undefined &&
        state.rejected === this.#options.watch.get(this.#options.typeUrl, state.name)?.hash,
    );
    const isSettled = this.#outstanding === undefined && !this.isPending;
    return {
      typeUrl: this.#options.typeUrl,
      isWildcard: this.#isWildcard,
      names: [...this.#names.keys()],
      state: isNacked ? "NACKED" : isSettled ? "SYNCED" : "STALE",
      sinceMs: this.#sinceMs,
      sentVersion: this.#sentVersion,
      ackedVersion: this.#ackedVersion,
      nack: isNacked ? this.#nack : undefined,
    };
  }

  /**
   * What the client runs and may not get from the source again once it is back: clusters and routes, should they be
   * removed meanwhile, and what stands behind content that it refused.
   */
  keepsakes(): Keepsake[] {
    const kept: Keepsake[] = [];
    for (const state of this.#names.values()) {
      const resource = lastGood(state) ?? state.sent;
      const matters = state.rejected !== undefined || this.#options.kind.outlivesRemoval;
      if (resource !== undefined && matters) kept.push({ resource, isAccepted: state.acked !== undefined });
    }
    return kept;
  }

  /** Brings the names in line with `wanted`; `hasLost` where the client had something of a name that went. */
  #reconcile(wanted: ReadonlySet<string>): { readonly hasNew: boolean; readonly hasLost: boolean } {
    const { watch, typeUrl } = this.#options;
    let hasLost = false;
    for (const state of this.#names.values()) {
      if (wanted.has(state.name)) continue;
      watch.unsubscribe(typeUrl, state.name);
      this.#names.delete(state.name);
      this.#dirty.delete(state);
      hasLost ||= state.sent !== undefined;
      if (state.rejected !== undefined) this.#part(state);
    }
    let hasNew = false;
    for (const name of wanted) {
      if (this.#names.has(name)) continue;
      hasNew = true;
      const parted = this.#parted.get(name);
      this.#parted.delete(name);
      const state = parted === undefined ? askedFirst(name, this.#options.remembered(name)) : askedAgain(parted);
      watch.subscribe(typeUrl, name);
      this.#names.set(name, state);
      this.#dirty.add(state);
    }
    return { hasNew, hasLost };
  }

  #part(state: NameState): void {
    this.#parted.set(state.name, state);
    if (this.#parted.size <= maxParted) return;
    for (const oldest of this.#parted.keys()) {
      this.#parted.delete(oldest);
      return;
    }
  }

  #content(state: NameState): Resource | undefined {
    const { watch, typeUrl, kind } = this.#options;
    return contentFor(state, watch.get(typeUrl, state.name), kind.outlivesRemoval && !this.#isWildcard);
  }

  /** Follows the source's list of names; true where the client's set is another one for it. */
  #takeList(): boolean {
    this.#isListStale = false;
    const listed = this.#options.watch.list(this.#options.typeUrl);
    const { hasNew, hasLost } = this.#reconcile(new Set([...this.#explicit, ...listed]));
    return hasNew || hasLost;
  }

  /** LDS, CDS: all names; nothing where every one of them is what the client has, unless the set is another one. */
  #takeWholeSet(hasOtherNames: boolean): readonly Carried[] | undefined {
    this.#dirty.clear();
    const carried = [...this.#names.values()].map((state) => ({ state, resource: this.#content(state) }));
    const differs = carried.some(({ state, resource }) => resource?.hash !== state.sent?.hash);
    return differs || hasOtherNames || this.#dueSince !== undefined ? carried : undefined;
  }

  /** RDS, EDS: what changed or is owed. A name without content is left to the source's next word. */
  #takeChanged(): readonly Carried[] | undefined {
    const carried: Carried[] = [];
    let bytes = 0;
    for (const state of this.#dirty) {
      const resource = this.#content(state);
      if (resource !== undefined && (state.isOwed || resource.hash !== state.sent?.hash)) {
        bytes += resource.any.length;
        if (carried.length > 0 && bytes > this.#options.maxResponseBytes) break;
        carried.push({ state, resource });
      }
      this.#dirty.delete(state);
    }
    return carried.length > 0 || this.#dueSince !== undefined ? carried : undefined;
  }

  #takeNack(outstanding: Outstanding, error: string, nowMs: number): void {
    const sent = outstanding.carried.filter(({ resource }) => resource !== undefined);
    const changed = sent.filter(({ state, resource }) => resource?.hash !== state.acked?.hash);
    const suspects = (changed.length > 0 ? changed : sent).map(({ state }) => state.name);
    const blamed = new Set(attributeNack(error, suspects));
    for (const { state, resource } of outstanding.carried) {
      if (resource !== undefined && blamed.has(state.name)) refuse(state, resource);
      else accept(state, resource);
    }
    const { nonce, version } = outstanding;
    this.#nack = { nonce, version, reason: error.slice(0, maxReasonLength), names: [...blamed], atMs: nowMs };
  }
}

const maxParted = 1_000;
const maxReasonLength = 4_096;

function isSameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  return a.size === b.size && [...a].every((name) => b.has(name));
}
