import { isDeepStrictEqual } from "node:util";
import type { Clock } from "@weft/grpc/platform";
import type { Exports, Hello } from "@weft/xds-api/weft/registry/v1/registry";
import type { Workload } from "../model/workload.ts";
import type { Store } from "../store/store.ts";
import type { CredentialBounds } from "./credential-bounds.ts";
import { readExports } from "./exports.ts";
import { type Claim, claimFor } from "./hello.ts";
import { type Refusal, refusal } from "./interface-names.ts";
import { defaultLimits, type RegistryLimits } from "./limits.ts";
import { type Registration, registrationFrom, storedFor, workloadFor } from "./registration.ts";

/** What the registry needs of the rest of the control plane. */
export interface RegistryOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly limits?: Partial<RegistryLimits>;
  /** Takes the new set of workloads; resolves once every client is answered from a snapshot that has it. */
  readonly publish: (workloads: readonly Workload[]) => Promise<void>;
  /** The hosts that this workload is an endpoint of now. */
  readonly hostsOf: (workload: Workload) => readonly string[];
  /** Whether `name`, said in `namespace`, is a host's: such a name is never an interface. */
  readonly resolvesAsHost: (name: string, namespace: string) => boolean;
  /** Resolves once no client holds an endpoint of `workload` any more. `signal` aborts when nobody waits for it any longer. */
  readonly released: (workload: Workload, signal: AbortSignal) => Promise<void>;
  /** Told of what failed with nobody there to be told: a withdrawal that the store could not keep. */
  readonly onError: (error: unknown) => void;
}

/** Who exports an interface, and whose its name is. */
export interface InterfaceStatus {
  readonly name: string;
  readonly namespace: string;
  readonly sinceMs: number;
  /** The uids of live instances that serve it. */
  readonly instances: readonly string[];
}

/**
 * Which processes are there and what they serve: the owner of every live registration.
 *
 *   Hello ──► LIVE ──session breaks──► SUSPECT ──grace──► withdrawn
 *               │  ◄──same incarnation──┘   ▲
 *               └──Drain──► DRAINING        └── what the store kept, after a restart (a longer grace)
 *
 * An address and port belong to the first live instance; the same identity takes over what a broken session left, another
 * identity waits for the grace to end. One process owns this state: no two sessions are looked at at once.
 */
export class Registry {
  readonly options: RegistryOptions;
  readonly limits: RegistryLimits;
  readonly #registrations = new Map<string, Registration>();
  #isClosed = false;

  constructor(options: RegistryOptions) {
    this.options = options;
    this.limits = { ...defaultLimits, ...options.limits };
    for (const stored of options.store.registrations.list()) {
      const registration = registrationFrom(stored);
      if (registration === undefined) options.store.registrations.delete([stored.id]);
      else this.#suspect(registration, this.limits.returnMs);
    }
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Every registered instance, by uid: what the next snapshot is made of. */
  workloads(): readonly Workload[] {
    return [...this.#registrations.values()]
      .filter((registration) => registration.listeners.length > 0)
      .map(workloadFor)
      .sort((a, b) => (a.uid < b.uid ? -1 : 1));
  }

  /** Every interface name that has an owner, with the instances that serve it now. */
  interfaces(): readonly InterfaceStatus[] {
    const instances = new Map<string, string[]>();
    for (const workload of this.workloads()) {
      if (workload.state === "DRAINING") continue;
      const serving = workload.listeners.filter((listener) => listener.state === "SERVING");
      for (const name of new Set(serving.flatMap((listener) => listener.interfaces))) {
        const uids = instances.get(name) ?? [];
        instances.set(name, [...uids, workload.uid]);
      }
    }
    return this.options.store.interfaces
      .list()
      .map((owner) => ({ ...owner, instances: instances.get(owner.name) ?? [] }));
  }

  /** Opens a session for what `hello` claims; `endSession` is called when another session or the registry ends it. */
  open(
    hello: Hello,
    bounds: CredentialBounds,
    peerAddress: string,
    endSession: (reason: string) => void,
  ): Registration | Refusal {
    const claim = claimFor(hello, bounds, peerAddress, this.limits);
    const refused = "code" in claim ? claim : this.#roomFor(claim);
    if (refused !== undefined) return this.#audited(refused, bounds.spiffeId);
    return this.#admit(claim as Claim, endSession);
  }

  /** Takes the full list of what an instance serves. What is refused of it is left out, and audited. */
  accept(registration: Registration, exports: Exports): { readonly refusals: readonly Refusal[] } | Refusal {
    const { namespace, spiffeId } = registration.claim;
    if (registration.state === "DRAINING") return refusal("WEFT0202", "", "the instance is draining");
    const read = readExports(exports, this.limits, (name) => this.#interfaceRefusal(name, namespace));
    if ("code" in read) return this.#audited(read, spiffeId);

    const refusals = [...read.refusals];
    const replaced: Registration[] = [];
    const listeners = read.listeners.filter((listener) => {
      const holder = this.#holderOf(registration, listener.port);
      if (holder === undefined) return true;
      if (holder.state === "SUSPECT" && holder.claim.spiffeId === spiffeId) {
        replaced.push(holder);
        return true;
      }
      const where = `${registration.claim.address}:${listener.port}`;
      refusals.push(refusal("WEFT0203", listener.portName, `${where} belongs to another live instance`));
      return false;
    });
    for (const refused of refusals) this.#audited(refused, spiffeId);

    const before = registration.listeners;
    if (!isDeepStrictEqual(before, listeners)) registration.listeners = listeners;
    registration.lastSeenMs = this.options.clock.now();
    try {
      const names = listeners.flatMap((listener) => listener.interfaces);
      this.options.store.interfaces.claim(names, namespace, registration.lastSeenMs);
      const gone = replaced.map((other) => other.claim.uid);
      this.options.store.registrations.put(storedFor(registration), gone);
    } catch (error) {
      // Not kept means not accepted: a restart would otherwise forget an instance that was told it is in.
      registration.listeners = before;
      throw error;
    }
    for (const other of replaced) this.#forget(other);
    return { refusals };
  }

  /** Takes a stopping instance out of every endpoint list, for good: a restart doesn't bring it back either. */
  drain(registration: Registration): void {
    registration.state = "DRAINING";
    this.#unkeep(registration);
    this.#freed(registration);
  }

  /** A session's end. The instance stays for the grace, unless it was draining or served nothing. */
  release(registration: Registration): void {
    registration.endSession = undefined;
    registration.reconsider = undefined;
    if (this.#isClosed || this.#registrations.get(registration.claim.uid) !== registration) return;
    if (registration.state === "DRAINING" || registration.listeners.length === 0) {
      this.#withdraw(registration);
      return;
    }
    this.#suspect(registration, this.limits.graceMs);
    this.#publish();
  }

  /** Ends every session (each is told to open another) and withdraws nothing: the store has what a successor serves. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const registration of this.#registrations.values()) {
      registration.keep?.();
      registration.endSession?.("the control plane is stopping");
    }
  }

  #roomFor(claim: Claim): Refusal | undefined {
    let ofIdentity = 0;
    for (const other of this.#registrations.values()) {
      if (other.claim.uid === claim.uid) return undefined;
      if (other.claim.spiffeId === claim.spiffeId) ofIdentity++;
      if (other.claim.nodeId !== claim.nodeId || other.state === "DRAINING") continue;
      // Processes of one identity may share a bootstrap; accept() keeps their ports apart.
      if (other.claim.spiffeId !== claim.spiffeId) {
        return refusal("WEFT0204", "", "the node id belongs to another identity's instance");
      }
    }
    if (ofIdentity >= this.limits.registrationsPerIdentity || this.#registrations.size >= this.limits.registrations) {
      return refusal("WEFT0209", "", "too many registrations");
    }
    return undefined;
  }

  #admit(claim: Claim, endSession: (reason: string) => void): Registration {
    const existing = this.#registrations.get(claim.uid);
    if (existing !== undefined) {
      // The same start of the same process: its earlier session is dead, whether or not its connection knows yet.
      existing.endSession?.("the instance opened another session");
      existing.keep?.();
      existing.keep = undefined;
      // What it listened on at another address, or before it drained, is nobody's claim any more; its Exports follow.
      if (existing.claim.address !== claim.address || existing.state === "DRAINING") existing.listeners = [];
      if (!isDeepStrictEqual(existing.claim, claim)) existing.claim = claim;
      existing.state = "LIVE";
      existing.endSession = endSession;
      return existing;
    }
    const registration: Registration = {
      claim,
      listeners: [],
      state: "LIVE",
      lastSeenMs: this.options.clock.now(),
      keep: undefined,
      endSession,
      reconsider: undefined,
      view: undefined,
    };
    this.#registrations.set(claim.uid, registration);
    return registration;
  }

  #holderOf(registration: Registration, port: number): Registration | undefined {
    for (const other of this.#registrations.values()) {
      if (other === registration || other.state === "DRAINING") continue;
      const { address, nodeId } = other.claim;
      // A server's listener resource is found by its node id and port, so those two belong to one instance as well.
      if (address !== registration.claim.address && nodeId !== registration.claim.nodeId) continue;
      if (other.listeners.some((listener) => listener.port === port)) return other;
    }
    return undefined;
  }

  #interfaceRefusal(name: string, namespace: string): Refusal | undefined {
    if (this.options.resolvesAsHost(name, namespace)) {
      return refusal("WEFT0207", name, "a host has this name, and a host's name is never an interface");
    }
    const { interfaces } = this.options.store;
    const owner = interfaces.owner(name);
    if (owner === namespace) return undefined;
    if (owner !== undefined) return refusal("WEFT0208", name, "the interface belongs to another namespace");
    if (interfaces.count(namespace) < this.limits.interfacesPerNamespace) return undefined;
    return refusal(
      "WEFT0202",
      name,
      `namespace ${namespace} owns ${this.limits.interfacesPerNamespace} interfaces already`,
    );
  }

  #suspect(registration: Registration, graceMs: number): void {
    registration.state = "SUSPECT";
    registration.keep = this.options.clock.schedule(graceMs, () => this.#withdraw(registration));
    this.#registrations.set(registration.claim.uid, registration);
  }

  #withdraw(registration: Registration): void {
    this.#forget(registration);
    this.#unkeep(registration);
    this.#publish();
  }

  #unkeep(registration: Registration): void {
    try {
      this.options.store.registrations.delete([registration.claim.uid]);
    } catch (error) {
      // The instance leaves all the same; at worst a restart serves it for a while.
      this.options.onError(error);
    }
  }

  #forget(registration: Registration): void {
    registration.keep?.();
    this.#registrations.delete(registration.claim.uid);
    registration.endSession?.("another instance took this one's place");
    this.#freed(registration);
  }

  #freed({ claim }: Registration): void {
    for (const other of this.#registrations.values()) {
      if (other.claim.address === claim.address || other.claim.nodeId === claim.nodeId) other.reconsider?.();
    }
  }

  #publish(): void {
    // Nobody waits for this one: a session that needs to know publishes itself.
    this.options.publish(this.workloads()).catch(this.options.onError);
  }

  #audited(refused: Refusal, principal: string): Refusal {
    this.options.store.audit.append({
      atMs: this.options.clock.now(),
      principal,
      action: "registration",
      subject: refused.subject,
      outcome: "refused",
      detail: `${refused.code} ${refused.reason}`,
    });
    return refused;
  }
}
