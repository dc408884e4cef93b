import { message, pack, typeUrls } from "@weft/xds-api";
import { CircuitBreakers, CircuitBreakers_Thresholds } from "@weft/xds-api/envoy/config/cluster/v3/circuit_breaker";
import {
  Cluster,
  Cluster_DiscoveryType,
  Cluster_EdsClusterConfig,
  Cluster_LbPolicy,
} from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { TransportSocket } from "@weft/xds-api/envoy/config/core/v3/base";
import { UpstreamTlsContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import type { Endpoint, MeshReader } from "../model/mesh-reader.ts";
import type { Audience } from "./audience.ts";
import { destinationOf } from "./destination.ts";
import { adsConfigSource } from "./http-connection-manager.ts";
import { commonTlsContext, tlsTransportSocketName } from "./tls-context.ts";

/** No limit of calls in flight, as Istio's default is; left unsaid, gRPC clients stop at 1024. */
const unlimited: CircuitBreakers = message(CircuitBreakers, {
  thresholds: [message(CircuitBreakers_Thresholds, { maxRequests: 2 ** 32 - 1 })],
});

/**
 * The cluster of a name: always EDS over ADS and round robin, what every gRPC language accepts. Undefined where the name
 * is not one of the mesh's, or of an interface that nobody exports; a missing host or subset has a cluster without endpoints.
 */
export function clusterFor(reader: MeshReader, _audience: Audience, name: string): Cluster | undefined {
  const destination = destinationOf(reader, name);
  if (destination === undefined) return undefined;
  return message(Cluster, {
    name,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: message(Cluster_EdsClusterConfig, { edsConfig: adsConfigSource, serviceName: name }),
    lbPolicy: Cluster_LbPolicy.ROUND_ROBIN,
    circuitBreakers: unlimited,
    transportSocket:
      destination.policy.tlsMode === "ISTIO_MUTUAL"
        ? mutualTls(acceptedIdentities(destination.endpoints, reader.settings.trustDomain))
        : undefined,
  });
}

function mutualTls(spiffeIds: readonly string[]): TransportSocket {
  const context = message(UpstreamTlsContext, { commonTlsContext: commonTlsContext(spiffeIds) });
  return message(TransportSocket, {
    name: tlsTransportSocketName,
    configType: { $case: "typedConfig", value: pack(typeUrls.upstreamTlsContext, UpstreamTlsContext, context) },
  });
}

/**
 * Whom a client may meet behind a cluster: the identities of all its endpoints, sorted, also of those that don't serve
 * yet, so that the list is there before they are called. Never empty: to gRPC an empty list accepts everyone, so with
 * nobody to expect, nobody is accepted (the CA signs no such identity).
 */
function acceptedIdentities(endpoints: readonly Endpoint[], trustDomain: string): readonly string[] {
  const ids = new Set(endpoints.map(({ spiffeId }) => spiffeId).filter((id) => id !== ""));
  return ids.size === 0 ? [`spiffe://${trustDomain}/nobody`] : [...ids].sort();
}
