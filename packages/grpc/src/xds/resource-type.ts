import { shortTypeName, type TypeUrl, typeUrls } from "@weft/xds-api";
import { Cluster } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import type { RouteTableConfig } from "../routing/route-config.ts";
import { type ClusterConfig, parseCluster } from "./cluster.ts";
import { InvalidResource } from "./invalid-resource.ts";
import { type ListenerConfig, parseListener } from "./listener.ts";
import { type LoadAssignment, parseLoadAssignment } from "./load-assignment.ts";
import { parseRouteConfiguration } from "./route-configuration.ts";
import type { ParseEnvironment } from "./tls-context.ts";

/** What became of a resource's bytes. The name is known even where the rest is refused, unless the bytes are no message at all. */
export type ParsedResource<T> =
  | { readonly kind: "valid"; readonly name: string; readonly config: T }
  | { readonly kind: "invalid"; readonly name: string | undefined; readonly problem: string };

/** One of the four kinds of resources: how its bytes become configuration. */
export interface ResourceType<T> {
  readonly typeUrl: TypeUrl;
  /** LDS, RDS, CDS or EDS. */
  readonly title: string;
  /** A response carries everything subscribed, so what it leaves out is deleted (LDS and CDS). */
  readonly isFullState: boolean;
  parse(bytes: Uint8Array, environment: ParseEnvironment): ParsedResource<T>;
}

interface Codec<M> {
  decode(bytes: Uint8Array): M;
}

function resourceType<M, T>(
  typeUrl: TypeUrl,
  isFullState: boolean,
  codec: Codec<M>,
  nameOf: (message: M) => string,
  parseMessage: (message: M, environment: ParseEnvironment) => T,
): ResourceType<T> {
  return {
    typeUrl,
    title: shortTypeName(typeUrl),
    isFullState,
    parse(bytes, environment) {
      let name: string | undefined;
      try {
        const message = codec.decode(bytes);
        name = nameOf(message);
        return { kind: "valid", name, config: parseMessage(message, environment) };
      } catch (error) {
        // The generated decoders throw plain errors on malformed bytes, nested messages' included.
        const problem = error instanceof InvalidResource ? error.message : `malformed: ${String(error)}`;
        return { kind: "invalid", name, problem };
      }
    },
  };
}

export const listenerType: ResourceType<ListenerConfig> = resourceType(
  typeUrls.listener,
  true,
  Listener,
  (message) => message.name,
  parseListener,
);

export const routeConfigurationType: ResourceType<RouteTableConfig> = resourceType(
  typeUrls.routeConfiguration,
  false,
  RouteConfiguration,
  (message) => message.name,
  parseRouteConfiguration,
);

export const clusterType: ResourceType<ClusterConfig> = resourceType(
  typeUrls.cluster,
  true,
  Cluster,
  (message) => message.name,
  parseCluster,
);

export const loadAssignmentType: ResourceType<LoadAssignment> = resourceType(
  typeUrls.clusterLoadAssignment,
  false,
  ClusterLoadAssignment,
  (message) => message.clusterName,
  parseLoadAssignment,
);

/** All four, in the order in which a client comes to need them. */
export const resourceTypes = [listenerType, routeConfigurationType, clusterType, loadAssignmentType] as const;
