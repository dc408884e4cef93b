import { inboundListenerName, type MessageType, typeUrls, unpack } from "@weft/xds-api";
import type { Cluster } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import type { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import type { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import type { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import { Router } from "@weft/xds-api/envoy/extensions/filters/http/router/v3/router";
import { HttpConnectionManager } from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import { DownstreamTlsContext, UpstreamTlsContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import type { MeshReader } from "../../model/mesh-reader.ts";
import type { Workload } from "../../model/workload.ts";
import type { Audience } from "../audience.ts";
import { clusterFor } from "../clusters.ts";
import { endpointsFor } from "../endpoints.ts";
import { listenerFor } from "../listeners.ts";
import { routeConfigurationFor } from "../route-configurations.ts";
import { clustersNamedBy } from "../routes.ts";

/** A client in `shop` on the plaintext port. */
export function audience(overrides: Partial<Audience> = {}): Audience {
  return { namespace: "shop", nodeId: "client", trustDomain: "cluster.local", userAgent: "test", ...overrides };
}

/** Everything that a client ends up with; a name that isn't answered is undefined. */
export interface Answers {
  readonly listeners: Record<string, Listener | undefined>;
  readonly routeConfigurations: Record<string, RouteConfiguration | undefined>;
  readonly clusters: Record<string, Cluster | undefined>;
  readonly endpoints: Record<string, ClusterLoadAssignment | undefined>;
}

/** What a client of `audience` gets that dials these names and follows what it is told. */
export function answersFor(reader: MeshReader, who: Audience, dialled: readonly string[]): Answers {
  const answers: Answers = { listeners: {}, routeConfigurations: {}, clusters: {}, endpoints: {} };
  for (const name of dialled) {
    const listener = listenerFor(reader, who, name);
    answers.listeners[name] = listener;
    const routes = routeNameOf(listener);
    if (routes === undefined || Object.hasOwn(answers.routeConfigurations, routes)) continue;
    const routeConfiguration = routeConfigurationFor(reader, who, routes);
    answers.routeConfigurations[routes] = routeConfiguration;
    for (const cluster of routeConfiguration === undefined ? [] : clustersNamedBy(routeConfiguration)) {
      answers.clusters[cluster] = clusterFor(reader, who, cluster);
      answers.endpoints[cluster] = endpointsFor(reader, who, cluster);
    }
  }
  return answers;
}

/** The server listeners of these workloads, as each of them gets its own. */
export function serverListenersFor(reader: MeshReader, workloads: readonly Workload[]): Answers["listeners"] {
  const listeners: Answers["listeners"] = {};
  for (const { nodeId, spiffeId, listeners: own } of workloads) {
    for (const { boundAddress } of own) {
      const name = inboundListenerName(boundAddress);
      listeners[`${nodeId} ${boundAddress}`] = listenerFor(reader, audience({ nodeId, spiffeId }), name);
    }
  }
  return listeners;
}

/** The route configuration that a client's listener names over ADS. */
export function routeNameOf(listener: Listener | undefined): string | undefined {
  const specifier = managerOf(listener)?.routeSpecifier;
  return specifier?.$case === "rds" ? specifier.value.routeConfigName : undefined;
}

/** The HttpConnectionManager in a client's listener. */
export function managerOf(listener: Listener | undefined): HttpConnectionManager | undefined {
  const any = listener?.apiListener?.apiListener;
  return any && unpack(any, typeUrls.httpConnectionManager, HttpConnectionManager);
}

const packed: Readonly<Record<string, MessageType<unknown>>> = {
  [typeUrls.httpConnectionManager]: HttpConnectionManager as MessageType<unknown>,
  [typeUrls.router]: Router as MessageType<unknown>,
  [typeUrls.upstreamTlsContext]: UpstreamTlsContext as MessageType<unknown>,
  [typeUrls.downstreamTlsContext]: DownstreamTlsContext as MessageType<unknown>,
};

/** A message for people: Any unpacked, fields at their default left out, a oneof as its only field. */
export function readable(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  if (isAny(value)) {
    const type = packed[value.typeUrl];
    if (type === undefined) throw new Error(`no decoder for ${value.typeUrl}`);
    return { "@type": value.typeUrl, ...(readable(type.decode(value.value)) as object) };
  }
  const fields: [string, unknown][] = [];
  for (const [key, field] of Object.entries(value)) {
    if (isOneof(field)) fields.push([field.$case, readable(field.value)]);
    else if (!isDefault(field) && !emptyMaps.has(key)) fields.push([key, readable(field)]);
  }
  return Object.fromEntries(fields);
}

/** Maps that nothing here fills: without a schema an empty one looks like a message that is there. */
const emptyMaps: ReadonlySet<string> = new Set([
  "namedEndpoints",
  "typedExtensionProtocolOptions",
  "typedPerFilterConfig",
]);

function isAny(value: object): value is Any {
  return "typeUrl" in value && "value" in value && value.value instanceof Uint8Array;
}

function isOneof(value: unknown): value is { readonly $case: string; readonly value: unknown } {
  return typeof value === "object" && value !== null && "$case" in value;
}

function isDefault(value: unknown): boolean {
  if (typeof value === "object" && value !== null) {
    // A message that is there says something by being there; an empty list or map doesn't.
    return Array.isArray(value) && value.length === 0;
  }
  return value === undefined || value === "" || value === 0 || value === false;
}
