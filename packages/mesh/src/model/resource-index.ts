import { parseServiceHost, resolveHost, serviceHost } from "./host-name.ts";
import { mergeRules } from "./host-rule.ts";
import type { HostRoutes, HostRule, MeshHost } from "./mesh-reader.ts";
import type { MeshSettings } from "./mesh-settings.ts";
import {
  compareByAge,
  type DestinationRuleResource,
  type PeerAuthenticationResource,
  type Resource,
  resourceKey,
  type ServiceResource,
  type VirtualServiceResource,
} from "./resource.ts";
import { selectorMatches } from "./workload.ts";

/** The resources of a mesh, indexed by what they speak of. Immutable. */
export class ResourceIndex {
  /** The array that the index was made of. */
  readonly source: readonly Resource[];
  readonly settings: MeshSettings;
  readonly byKey: ReadonlyMap<string, Resource>;
  /** By full host name. */
  readonly services: ReadonlyMap<string, ServiceResource>;
  readonly hosts: ReadonlyMap<string, MeshHost>;
  readonly #servicesByNamespace = new Map<string, [host: string, ServiceResource][]>();
  readonly #virtualServices = new Map<string, VirtualServiceResource[]>();
  readonly #destinationRules = new Map<string, DestinationRuleResource[]>();
  readonly #peerAuthentications = new Map<string, PeerAuthenticationResource[]>();
  readonly #routes = new Map<string, HostRoutes>();
  readonly #rules = new Map<string, HostRule>();

  constructor(source: readonly Resource[], settings: MeshSettings) {
    this.source = source;
    this.settings = settings;
    this.byKey = new Map(source.map((resource) => [resourceKey(resource), resource]));
    const services = new Map<string, ServiceResource>();
    this.services = services;
    const sorted = [...this.byKey.values()].sort(compareByAge);
    for (const resource of sorted) if (resource.kind === "Service") this.#addService(resource, services);
    for (const resource of sorted) {
      if (resource.kind === "VirtualService") this.#addVirtualService(resource);
      else if (resource.kind === "DestinationRule") this.#addDestinationRule(resource);
      else if (resource.kind === "PeerAuthentication") push(this.#peerAuthentications, resource.namespace, resource);
    }
    for (const [host, rivals] of this.#virtualServices) this.#putOwnNamespaceFirst(host, rivals);
    for (const [host, rivals] of this.#destinationRules) this.#putOwnNamespaceFirst(host, rivals);
    this.hosts = this.#indexHosts();
  }

  host(name: string): MeshHost | undefined {
    return this.hosts.get(name);
  }

  routes(host: string): HostRoutes | undefined {
    const inForce = this.#virtualServices.get(host)?.[0];
    if (inForce === undefined) return undefined;
    let routes = this.#routes.get(host);
    if (routes === undefined) {
      routes = this.#resolveDestinations(inForce);
      this.#routes.set(host, routes);
    }
    return routes;
  }

  rule(host: string): HostRule | undefined {
    const rules = this.#destinationRules.get(host);
    if (rules === undefined) return undefined;
    let rule = this.#rules.get(host);
    if (rule === undefined) {
      rule = mergeRules(rules);
      this.#rules.set(host, rule);
    }
    return rule;
  }

  /** The hosts that some DestinationRule in force speaks of. */
  ruledHosts(): Iterable<string> {
    return this.#destinationRules.keys();
  }

  /** The hosts that some VirtualService in force speaks of. */
  routedHosts(): Iterable<string> {
    return this.#virtualServices.keys();
  }

  /** The VirtualServices that claim a host; the first is in force. */
  virtualServicesOf(host: string): readonly VirtualServiceResource[] {
    return this.#virtualServices.get(host) ?? [];
  }

  /** The DestinationRules of a host in the order in which they merge. */
  destinationRulesOf(host: string): readonly DestinationRuleResource[] {
    return this.#destinationRules.get(host) ?? [];
  }

  /** The PeerAuthentications of a namespace, oldest first. */
  peerAuthenticationsOf(namespace: string): readonly PeerAuthenticationResource[] {
    return this.#peerAuthentications.get(namespace) ?? [];
  }

  /** The Services of a namespace with their full host names. */
  servicesOf(namespace: string): readonly (readonly [host: string, ServiceResource])[] {
    return this.#servicesByNamespace.get(namespace) ?? [];
  }

  /** The full name of a host as a resource of `namespace` writes it. */
  resolve(written: string, namespace: string): string {
    return resolveHost(written, namespace, this.settings, (host) => this.services.has(host));
  }

  /**
   * Whether a rule of `namespace` holds for `host`: a Service's rules stand in its own or in the root namespace, so that
   * nobody redirects another namespace's traffic.
   */
  governs(namespace: string, host: string): boolean {
    const owner = parseServiceHost(host, this.settings)?.namespace;
    return owner === undefined || owner === namespace || namespace === this.settings.rootNamespace;
  }

  /**
   * What a workload's port asks of its peers. The narrowest scope that says something wins: workload (and there the
   * port), namespace, mesh; within a scope the oldest. Nothing said is plaintext, as Istio treats proxyless servers.
   */
  mutualTls(namespace: string, labels: Readonly<Record<string, string>>, port: number): "DISABLE" | "STRICT" {
    const own = this.peerAuthenticationsOf(namespace);
    const selecting = own.find(
      ({ spec }) => spec.selector !== undefined && selectorMatches(spec.selector, labels),
    )?.spec;
    const ofNamespace = own.find(({ spec }) => spec.selector === undefined)?.spec;
    const ofMesh = this.peerAuthenticationsOf(this.settings.rootNamespace).find(
      ({ spec }) => spec.selector === undefined,
    )?.spec;
    for (const mode of [selecting?.portModes[port], selecting?.mode, ofNamespace?.mode, ofMesh?.mode]) {
      if (mode !== undefined && mode !== "UNSET") return mode;
    }
    return "DISABLE";
  }

  #addService(resource: ServiceResource, services: Map<string, ServiceResource>): void {
    const host = serviceHost(resource.name, resource.namespace, this.settings);
    services.set(host, resource);
    push(this.#servicesByNamespace, resource.namespace, [host, resource]);
  }

  #addVirtualService(resource: VirtualServiceResource): void {
    const hosts = new Set(resource.spec.hosts.map((written) => this.resolve(written, resource.namespace)));
    for (const host of hosts) {
      if (this.governs(resource.namespace, host)) push(this.#virtualServices, host, resource);
    }
  }

  #addDestinationRule(resource: DestinationRuleResource): void {
    const host = this.resolve(resource.spec.host, resource.namespace);
    if (this.governs(resource.namespace, host)) push(this.#destinationRules, host, resource);
  }

  #putOwnNamespaceFirst(host: string, rivals: Resource[]): void {
    const owner = parseServiceHost(host, this.settings)?.namespace;
    rivals.sort((a, b) => Number(b.namespace === owner) - Number(a.namespace === owner));
  }

  #indexHosts(): ReadonlyMap<string, MeshHost> {
    const hosts = new Map<string, MeshHost>();
    for (const [name, { namespace, spec }] of this.services) hosts.set(name, { name, namespace, service: spec });
    for (const name of this.#virtualServices.keys()) {
      const namespace = parseServiceHost(name, this.settings)?.namespace;
      if (!hosts.has(name)) hosts.set(name, { name, namespace, service: undefined });
    }
    return hosts;
  }

  #resolveDestinations(resource: VirtualServiceResource): HostRoutes {
    return {
      http: resource.spec.http.map((route) => ({
        ...route,
        destinations: route.destinations.map((destination) => ({
          ...destination,
          host: this.resolve(destination.host, resource.namespace),
        })),
      })),
    };
  }
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
