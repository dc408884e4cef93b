import type { MeshSettings } from "./mesh-settings.ts";
import type { HttpRoute, ServiceSpec, Subset, TrafficPolicy } from "./resource.ts";
import type { ListenerState } from "./workload.ts";

/** A host that clients can name: a Service, or only a VirtualService's host (which then takes any port). */
export interface MeshHost {
  /** The full name. */
  readonly name: string;
  /** Undefined for a host that isn't of the form `<service>.<namespace>.svc.<domain>`. */
  readonly namespace: string | undefined;
  readonly service: ServiceSpec | undefined;
}

/** The routes of a host, from the one VirtualService that is in force for it; destinations by full name. */
export interface HostRoutes {
  readonly http: readonly HttpRoute[];
}

/** What all DestinationRules of a host say together. */
export interface HostRule {
  readonly subsets: readonly Subset[];
  readonly trafficPolicy: TrafficPolicy;
}

/** One listener of a live workload, as an endpoint or an endpoint to be. */
export interface Endpoint {
  readonly uid: string;
  readonly address: string;
  readonly port: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly spiffeId: string;
  /** NOT_SERVING also while the workload drains. Only SERVING ones take calls; the others' identities are already expected. */
  readonly state: ListenerState;
}

/** A host and the port of it behind which an endpoint stands. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** What exports an interface. */
export interface InterfaceExports {
  readonly name: string;
  readonly endpoints: readonly Endpoint[];
  /** The hosts' ports behind which the endpoints stand, sorted; of several ports of one host each one. */
  readonly hostPorts: readonly HostPort[];
  /** Whether an endpoint stands behind no host at all. */
  readonly hasHostless: boolean;
}

/** A workload's own listener, and what it asks of its peers. */
export interface InboundListener {
  readonly port: number;
  readonly boundAddress: string;
  readonly spiffeId: string;
  readonly mutualTls: "DISABLE" | "STRICT";
}

/**
 * What translation may ask of a mesh. Every method reads one key, also when the answer is undefined or empty, so that a
 * recording reader knows exactly what an answer depends on.
 */
export interface MeshReader {
  readonly settings: MeshSettings;
  /** Key `host/<name>`. By full name. */
  host(name: string): MeshHost | undefined;
  /** Key `routes/<host>`. */
  routes(host: string): HostRoutes | undefined;
  /** Key `rule/<host>`. */
  rule(host: string): HostRule | undefined;
  /** Key `endpoints/<host>`. Those behind one port of a host, sorted by address; empty for an unknown host or port. */
  endpoints(host: string, port: number): readonly Endpoint[];
  /** Key `interface/<name>`. Undefined while no live registration exports it. */
  interface(name: string): InterfaceExports | undefined;
  /** Key `inbound/<nodeId>/<port>`. */
  inbound(nodeId: string, port: number): InboundListener | undefined;
}

/** What a MeshReader's method reads: recorded by one side, named as changed by the other. */
export type MeshKey =
  | `host/${string}`
  | `routes/${string}`
  | `rule/${string}`
  | `endpoints/${string}`
  | `interface/${string}`
  | `inbound/${string}`;
