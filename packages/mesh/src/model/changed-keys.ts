import { hostCandidates, serviceHost } from "./host-name.ts";
import type { MeshKey } from "./mesh-reader.ts";
import type { Resource, ServiceResource } from "./resource.ts";
import { sameValue } from "./same-value.ts";
import type { MeshSnapshot } from "./snapshot.ts";
import type { Workload } from "./workload.ts";
import { selects } from "./workload-index.ts";

/**
 * The keys whose answers differ between two snapshots, by value: exactly what a reader of `previous` must ask again.
 *
 * Looks only where a changed resource or workload can reach, so that one registration's change costs the same in a large
 * mesh. Settings are taken to be the same.
 */
export function changedKeys(previous: MeshSnapshot, next: MeshSnapshot): ReadonlySet<MeshKey> {
  const changed = new Set<MeshKey>();
  const candidates = new Candidates(previous, next);
  if (previous.resources !== next.resources) {
    compareMaps(previous, next, changed);
    candidates.addResources();
  }
  candidates.addWorkloads();
  for (const host of candidates.hosts) {
    const ports = [previous, next].flatMap(({ resources }) => resources.services.get(host)?.spec.ports ?? []);
    if (ports.some(({ port }) => !sameValue(previous.endpoints(host, port), next.endpoints(host, port)))) {
      changed.add(`endpoints/${host}`);
    }
  }
  for (const name of candidates.interfaces) {
    if (!sameValue(previous.interface(name), next.interface(name))) changed.add(`interface/${name}`);
  }
  for (const { nodeId, listeners } of candidates.workloads) {
    for (const { port } of listeners) {
      if (!sameValue(previous.inbound(nodeId, port), next.inbound(nodeId, port)))
        changed.add(`inbound/${nodeId}/${port}`);
    }
  }
  return changed;
}

function compareMaps(previous: MeshSnapshot, next: MeshSnapshot, changed: Set<MeshKey>): void {
  const [before, after] = [previous.resources, next.resources];
  for (const host of new Set([...before.hosts.keys(), ...after.hosts.keys()])) {
    if (!sameValue(before.host(host), after.host(host))) changed.add(`host/${host}`);
  }
  for (const host of new Set([...before.routedHosts(), ...after.routedHosts()])) {
    if (!sameValue(before.routes(host), after.routes(host))) changed.add(`routes/${host}`);
  }
  for (const host of new Set([...before.ruledHosts(), ...after.ruledHosts()])) {
    if (!sameValue(before.rule(host), after.rule(host))) changed.add(`rule/${host}`);
  }
}

/** What may have changed, found from the changes themselves. */
class Candidates {
  readonly hosts = new Set<string>();
  readonly interfaces = new Set<string>();
  /** Whose listeners may ask something else of their peers. */
  readonly workloads = new Set<Workload>();
  readonly #previous: MeshSnapshot;
  readonly #next: MeshSnapshot;

  constructor(previous: MeshSnapshot, next: MeshSnapshot) {
    this.#previous = previous;
    this.#next = next;
  }

  addResources(): void {
    const [before, after] = [this.#previous.resources.byKey, this.#next.resources.byKey];
    for (const key of new Set([...before.keys(), ...after.keys()])) {
      const [old, current] = [before.get(key), after.get(key)];
      if (old === current || (old && current && meansTheSame(old, current))) continue;
      for (const resource of [old, current]) if (resource !== undefined) this.#addResource(resource);
    }
    // A name that becomes a host stops being an interface, and the other way round.
    const [hosts, others] = [this.#previous.resources.hosts, this.#next.resources.hosts];
    for (const host of hosts.keys()) if (!others.has(host)) this.#addInterfaceNamedLike(host);
    for (const host of others.keys()) if (!hosts.has(host)) this.#addInterfaceNamedLike(host);
  }

  addWorkloads(): void {
    const [before, after] = [this.#previous.workloads.byUid, this.#next.workloads.byUid];
    for (const uid of new Set([...before.keys(), ...after.keys()])) {
      const [old, current] = [before.get(uid), after.get(uid)];
      if (old === current) continue;
      for (const [workload, snapshot] of [
        [old, this.#previous],
        [current, this.#next],
      ] as const) {
        if (workload === undefined) continue;
        this.workloads.add(workload);
        this.#addInterfacesOf(workload);
        for (const [host, service] of snapshot.resources.servicesOf(workload.namespace)) {
          if (selects(service, workload)) this.hosts.add(host);
        }
      }
    }
  }

  #addResource(resource: Resource): void {
    if (resource.kind === "Service") this.#addService(resource);
    if (resource.kind !== "PeerAuthentication") return;
    const isMeshWide = resource.namespace === this.#next.settings.rootNamespace && resource.spec.selector === undefined;
    for (const { workloads } of [this.#previous, this.#next]) {
      const reached = isMeshWide ? workloads.byUid.values() : workloads.workloadsOf(resource.namespace);
      for (const workload of reached) this.workloads.add(workload);
    }
  }

  #addService(service: ServiceResource): void {
    this.hosts.add(serviceHost(service.name, service.namespace, this.#next.settings));
    for (const { workloads } of [this.#previous, this.#next]) {
      for (const workload of workloads.workloadsOf(service.namespace)) {
        if (selects(service, workload)) this.#addInterfacesOf(workload);
      }
    }
  }

  #addInterfacesOf(workload: Workload): void {
    for (const { interfaces } of workload.listeners) for (const name of interfaces) this.interfaces.add(name);
  }

  #addInterfaceNamedLike(host: string): void {
    const { settings } = this.#next;
    const labels = host.split(".");
    for (const name of [host, labels[0] ?? host, labels.slice(0, 2).join("."), labels.slice(0, 3).join(".")]) {
      if (hostCandidates(name, settings.rootNamespace, settings).includes(host)) this.interfaces.add(name);
    }
  }
}

function meansTheSame(a: Resource, b: Resource): boolean {
  return a.kind === b.kind && a.createdAtMs === b.createdAtMs && sameValue(a.spec, b.spec);
}
