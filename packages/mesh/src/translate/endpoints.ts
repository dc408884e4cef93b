import { isIP } from "node:net";
import { message, parseClusterName } from "@weft/xds-api";
import { Address, SocketAddress } from "@weft/xds-api/envoy/config/core/v3/address";
import { Locality } from "@weft/xds-api/envoy/config/core/v3/base";
import { HealthStatus } from "@weft/xds-api/envoy/config/core/v3/health_check";
import { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import {
  Endpoint as EndpointMessage,
  LbEndpoint,
  LocalityLbEndpoints,
} from "@weft/xds-api/envoy/config/endpoint/v3/endpoint_components";
import type { Endpoint, MeshReader } from "../model/mesh-reader.ts";
import type { Audience } from "./audience.ts";
import { destinationOf } from "./destination.ts";

/**
 * The endpoints of a cluster name that serve now, in one locality and in the order of their addresses. Every name that a
 * cluster could have is answered, with nothing in it where there is nobody: silence would freeze some clients.
 */
export function endpointsFor(reader: MeshReader, _audience: Audience, name: string): ClusterLoadAssignment | undefined {
  if (parseClusterName(name) === undefined) return undefined;
  const serving = usable(destinationOf(reader, name)?.endpoints ?? []);
  if (serving.length === 0) return message(ClusterLoadAssignment, { clusterName: name });
  const locality = message(LocalityLbEndpoints, {
    // Required even while it says nothing, and so is a weight: without one the locality is ignored.
    locality: message(Locality, {}),
    lbEndpoints: serving.map(lbEndpoint),
    loadBalancingWeight: serving.length,
  });
  return message(ClusterLoadAssignment, { clusterName: name, endpoints: [locality] });
}

/** Those that clients can be sent to: serving, at an IP literal, no address twice (clients refuse the whole resource). */
function usable(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const byAddress = new Map<string, Endpoint>();
  for (const endpoint of endpoints) {
    if (endpoint.state !== "SERVING" || isIP(endpoint.address) === 0) continue;
    const key = `${endpoint.address} ${endpoint.port}`;
    if (!byAddress.has(key)) byAddress.set(key, endpoint);
  }
  return [...byAddress.values()];
}

function lbEndpoint({ address, port }: Endpoint): LbEndpoint {
  const socketAddress = message(SocketAddress, { address, portSpecifier: { $case: "portValue", value: port } });
  const endpoint = message(EndpointMessage, {
    address: message(Address, { address: { $case: "socketAddress", value: socketAddress } }),
  });
  return message(LbEndpoint, {
    hostIdentifier: { $case: "endpoint", value: endpoint },
    healthStatus: HealthStatus.HEALTHY,
    loadBalancingWeight: 1,
  });
}
