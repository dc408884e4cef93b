import type { Origin } from "./origin.ts";

/** The kinds that Weft takes. */
export const resourceKinds = ["Service", "DestinationRule", "VirtualService", "PeerAuthentication"] as const;

/** A kind that Weft takes. */
export type ResourceKind = (typeof resourceKinds)[number];

/** What names a resource. */
export interface ResourceReference {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
}

interface ResourceOf<Kind extends ResourceKind, Spec> extends ResourceReference {
  readonly kind: Kind;
  readonly apiVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, from metadata.creationTimestamp; 0 where the document has none (the oldest, as in Istio). */
  readonly createdAtMs: number;
  readonly spec: Spec;
  /** Where it was written; no part of what it means. */
  readonly origin: Origin;
}

/** One port of a Service. */
export interface ServicePort {
  /** Empty where the document has none. */
  readonly name: string;
  readonly port: number;
  /** The workload's port by number or by name. */
  readonly targetPort: number | string;
  readonly protocol: "TCP" | "UDP" | "SCTP";
  readonly appProtocol?: string;
}

/** Core v1 Service: which workloads of its namespace stand behind `<name>.<namespace>.svc.<domain>`. */
export interface ServiceSpec {
  /** Undefined selects nothing. */
  readonly selector?: Readonly<Record<string, string>>;
  readonly ports: readonly ServicePort[];
}

/** How clients encrypt. ISTIO_MUTUAL never falls back. */
export type ClientTlsMode = "DISABLE" | "ISTIO_MUTUAL";

/** What a client does with the endpoints of a host or subset; absent parts are inherited, at last ROUND_ROBIN in plaintext. */
export interface TrafficPolicy {
  readonly loadBalancer?: "ROUND_ROBIN";
  readonly tlsMode?: ClientTlsMode;
}

/** The endpoints of a host that carry these labels. */
export interface Subset {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly trafficPolicy?: TrafficPolicy;
}

/** networking.istio.io DestinationRule. */
export interface DestinationRuleSpec {
  /** As written; `resolveHost` gives the full name. */
  readonly host: string;
  readonly subsets: readonly Subset[];
  readonly trafficPolicy?: TrafficPolicy;
}

/** How a string is compared. A regular expression is RE2 and matches the whole string. */
export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "regex"; readonly value: string };

/** A header by lower-case name; `present` asks for any value. */
export interface HeaderMatch {
  readonly name: string;
  readonly match: StringMatch | { readonly kind: "present" };
}

/** One alternative of a route's `match`; all of its conditions must hold. */
export interface RouteMatch {
  readonly name?: string;
  readonly uri?: StringMatch;
  readonly headers: readonly HeaderMatch[];
}

/** Where a route's calls go. */
export interface RouteDestination {
  /** As written; `resolveHost` gives the full name. */
  readonly host: string;
  readonly subset?: string;
  readonly port?: number;
  /** Relative to the route's other weights; the weight of an only destination doesn't matter. */
  readonly weight: number;
}

/** One entry of `http`, tried in order. No match means every call. */
export interface HttpRoute {
  readonly name?: string;
  readonly matches: readonly RouteMatch[];
  readonly destinations: readonly RouteDestination[];
}

/** networking.istio.io VirtualService. */
export interface VirtualServiceSpec {
  /** As written; `resolveHost` gives the full names. */
  readonly hosts: readonly string[];
  readonly http: readonly HttpRoute[];
}

/** What a server asks of its peers; UNSET inherits from the wider scope. */
export type MutualTlsMode = "UNSET" | "DISABLE" | "STRICT";

/** security.istio.io PeerAuthentication. */
export interface PeerAuthenticationSpec {
  /** Undefined selects the whole namespace (or mesh, in the root namespace). */
  readonly selector?: Readonly<Record<string, string>>;
  readonly mode: MutualTlsMode;
  /** By the workload's own port number; only with a selector. */
  readonly portModes: Readonly<Record<string, MutualTlsMode>>;
}

export type ServiceResource = ResourceOf<"Service", ServiceSpec>;
export type DestinationRuleResource = ResourceOf<"DestinationRule", DestinationRuleSpec>;
export type VirtualServiceResource = ResourceOf<"VirtualService", VirtualServiceSpec>;
export type PeerAuthenticationResource = ResourceOf<"PeerAuthentication", PeerAuthenticationSpec>;

/** A parsed and validated document; discriminated by `kind`. */
export type Resource = ServiceResource | DestinationRuleResource | VirtualServiceResource | PeerAuthenticationResource;

/** `<kind>/<namespace>/<name>`: the same for every version and origin of a resource. */
export function resourceKey(reference: ResourceReference): string {
  return `${reference.kind}/${reference.namespace}/${reference.name}`;
}

/** The order in which rivals are heard: oldest first, then by namespace and name (as in Istio). */
export function compareByAge(a: Resource, b: Resource): number {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs - b.createdAtMs;
  const [left, right] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return left < right ? -1 : left > right ? 1 : 0;
}
