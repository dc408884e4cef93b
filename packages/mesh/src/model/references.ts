// Checks between resources. All are warnings: the documents are good in themselves, stay in force, and what they miss may
// come later.

import { compareDiagnostics, type Diagnostic, type SourceRange } from "./diagnostic.ts";
import type { Origin } from "./origin.ts";
import { formatPath } from "./report.ts";
import {
  compareByAge,
  type DestinationRuleResource,
  type PeerAuthenticationResource,
  type Resource,
  type RouteDestination,
  resourceKey,
  type VirtualServiceResource,
} from "./resource.ts";
import type { ResourceIndex } from "./resource-index.ts";
import { sameValue } from "./same-value.ts";
import { type FieldPath, readYaml, type YamlDocument } from "./yaml-text.ts";

type Code = Diagnostic["code"];

/** What resources say about each other that can't be so, in the order of files and lines. */
export function checkReferences(index: ResourceIndex): readonly Diagnostic[] {
  const check = new ReferenceCheck(index);
  for (const resource of index.byKey.values()) {
    if (resource.kind === "VirtualService") check.virtualService(resource);
    if (resource.kind === "DestinationRule") check.destinationRule(resource);
  }
  for (const host of index.routedHosts()) check.rivals(host);
  for (const host of index.ruledHosts()) check.contradictions(host);
  check.peerAuthentications();
  return check.diagnostics.sort(compareDiagnostics);
}

class ReferenceCheck {
  readonly diagnostics: Diagnostic[] = [];
  readonly #index: ResourceIndex;
  readonly #documents = new Map<Origin, YamlDocument | undefined>();

  constructor(index: ResourceIndex) {
    this.#index = index;
  }

  virtualService(resource: VirtualServiceResource): void {
    for (const [position, written] of resource.spec.hosts.entries()) {
      this.#checkGoverned(resource, written, ["spec", "hosts", position]);
    }
    for (const [entry, { destinations }] of resource.spec.http.entries()) {
      for (const [position, destination] of destinations.entries()) {
        this.#destination(resource, destination, ["spec", "http", entry, "route", position, "destination"]);
      }
    }
  }

  destinationRule(resource: DestinationRuleResource): void {
    const path = ["spec", "host"];
    this.#checkGoverned(resource, resource.spec.host, path);
    const host = this.#index.resolve(resource.spec.host, resource.namespace);
    if (this.#index.host(host) !== undefined) return;
    this.#warn(resource, "WEFT0106", path, `${formatPath(path)}: there is no Service ${host}`);
  }

  /** Of several VirtualServices with one host the first is in force, as in Istio outside of gateways. */
  rivals(host: string): void {
    const [inForce, ...others] = this.#index.virtualServicesOf(host);
    if (inForce === undefined) return;
    for (const rival of others) {
      const position = rival.spec.hosts.findIndex((written) => this.#index.resolve(written, rival.namespace) === host);
      const path = ["spec", "hosts", position];
      const message = `${formatPath(path)}: the routes of ${host} are those of ${resourceKey(inForce)}, so these have no effect`;
      this.#warn(rival, "WEFT0104", path, message, "write all routes of a host into one VirtualService");
    }
  }

  contradictions(host: string): void {
    const rules = this.#index.destinationRulesOf(host);
    if (rules.length < 2) return;
    const policy = rules.find(({ spec }) => spec.trafficPolicy !== undefined);
    for (const rule of rules) {
      if (policy === undefined || rule === policy || rule.spec.trafficPolicy === undefined) continue;
      if (sameValue(rule.spec.trafficPolicy, policy.spec.trafficPolicy)) continue;
      const message = `the trafficPolicy of ${host} is that of ${resourceKey(policy)}, so this one has no effect`;
      this.#warn(rule, "WEFT0105", ["spec", "trafficPolicy"], message);
    }
    const subsets = new Map<string, { readonly rule: DestinationRuleResource; readonly subset: unknown }>();
    for (const rule of rules) {
      for (const [position, subset] of rule.spec.subsets.entries()) {
        const first = subsets.get(subset.name);
        if (first === undefined) subsets.set(subset.name, { rule, subset });
        else if (!sameValue(first.subset, subset)) {
          const message = `the subset ${subset.name} of ${host} is that of ${resourceKey(first.rule)}, so this one has no effect`;
          this.#warn(rule, "WEFT0105", ["spec", "subsets", position], message);
        }
      }
    }
  }

  /** Within a namespace (or the mesh) one policy without a selector holds, and for equal selectors one too: the oldest. */
  peerAuthentications(): void {
    const firsts = new Map<string, PeerAuthenticationResource>();
    for (const resource of [...this.#index.byKey.values()].sort(compareByAge)) {
      if (resource.kind !== "PeerAuthentication") continue;
      const selector = Object.entries(resource.spec.selector ?? {}).sort();
      const scope = JSON.stringify([resource.namespace, selector]);
      const first = firsts.get(scope);
      if (first === undefined) firsts.set(scope, resource);
      else {
        const message = `${resourceKey(first)} already decides for the same workloads, so this one has no effect`;
        this.#warn(resource, "WEFT0108", ["metadata", "name"], message, "keep one PeerAuthentication a scope");
      }
    }
  }

  #destination(resource: VirtualServiceResource, destination: RouteDestination, path: FieldPath): void {
    const host = this.#index.resolve(destination.host, resource.namespace);
    const service = this.#index.services.get(host);
    if (service === undefined) {
      this.#warn(resource, "WEFT0101", [...path, "host"], `${formatPath(path)}: there is no Service ${host}`);
      return;
    }
    const { subset, port } = destination;
    if (subset !== undefined && !this.#index.rule(host)?.subsets.some(({ name }) => name === subset)) {
      const message = `${formatPath(path)}: no DestinationRule gives ${host} a subset ${subset}`;
      this.#warn(resource, "WEFT0102", [...path, "subset"], message, "calls sent there fail until one does");
    }
    if (port !== undefined && !service.spec.ports.some((candidate) => candidate.port === port)) {
      const ports = service.spec.ports.map((candidate) => candidate.port).join(", ");
      const message = `${formatPath(path)}: ${host} has no port ${port}`;
      this.#warn(resource, "WEFT0103", [...path, "port"], message, `it has ${ports}`);
    }
  }

  #checkGoverned(resource: VirtualServiceResource | DestinationRuleResource, written: string, path: FieldPath): void {
    const host = this.#index.resolve(written, resource.namespace);
    if (this.#index.governs(resource.namespace, host)) return;
    const message = `${formatPath(path)}: a ${resource.kind} of namespace ${resource.namespace} has no effect on ${host}`;
    const hint = `write it into the host's namespace, or into ${this.#index.settings.rootNamespace}`;
    this.#warn(resource, "WEFT0107", path, message, hint);
  }

  #warn(resource: Resource, code: Code, path: FieldPath, message: string, hint?: string): void {
    const at = this.#locate(resource.origin, path);
    this.diagnostics.push({ severity: "warning", code, message, at, ...(hint === undefined ? {} : { hint }) });
  }

  /** Places aren't kept for every field of every resource: the few documents that are found fault with are read again. */
  #locate(origin: Origin, path: FieldPath): SourceRange {
    if (!origin.isVerbatim) return origin.range;
    if (!this.#documents.has(origin)) {
      this.#documents.set(origin, readYaml(origin.text, origin.file, origin.line).documents[0]);
    }
    return this.#documents.get(origin)?.locate(path) ?? origin.range;
  }
}
