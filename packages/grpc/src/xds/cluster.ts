import { type Cluster, Cluster_DiscoveryType, Cluster_LbPolicy } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { invalid, quoted } from "./invalid-resource.ts";
import { isAds } from "./listener.ts";
import { type ParseEnvironment, parseUpstreamTls, type UpstreamTls } from "./tls-context.ts";

/** What a client reads from a Cluster (gRFC A27, A29). Calls are spread by round robin. */
export interface ClusterConfig {
  readonly name: string;
  /** The name of its endpoints' resource. */
  readonly endpoints: string;
  /** Undefined: plaintext, or the channel's fallback. */
  readonly tls?: UpstreamTls;
}

const roundRobinUrl = "type.googleapis.com/envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin";

/** A Cluster as data. */
export function parseCluster(cluster: Cluster, environment: ParseEnvironment): ClusterConfig {
  checkKind(cluster);
  checkBalancing(cluster);
  if (cluster.transportSocketMatches.length > 0) invalid("transport_socket_matches is not supported");
  if (cluster.lrsServer !== undefined && cluster.lrsServer.configSourceSpecifier?.$case !== "self") {
    invalid("lrs_server is not self");
  }
  const config = { name: cluster.name, endpoints: cluster.edsClusterConfig?.serviceName || cluster.name };
  if (cluster.transportSocket === undefined) return config;
  return { ...config, tls: parseUpstreamTls(cluster.transportSocket, environment) };
}

function checkKind(cluster: Cluster): void {
  const kind = cluster.clusterDiscoveryType;
  if (kind?.$case === "clusterType") invalid(`cluster_type ${quoted(kind.value.name)} is not supported`);
  if (kind?.$case !== "type" || kind.value !== Cluster_DiscoveryType.EDS)
    invalid("a type other than EDS is not supported");
  if (!isAds(cluster.edsClusterConfig?.edsConfig)) invalid("eds_cluster_config.eds_config is neither ads nor self");
}

function checkBalancing(cluster: Cluster): void {
  const policies = cluster.loadBalancingPolicy?.policies;
  if (policies !== undefined) {
    // The first that the client supports counts; the old field is not read then (gRFC A52).
    const urls = policies.map((policy) => policy.typedExtensionConfig?.typedConfig?.typeUrl ?? "");
    if (!urls.includes(roundRobinUrl))
      invalid(`load_balancing_policy offers none that is supported: ${urls.join(", ")}`);
    return;
  }
  if (cluster.lbPolicy !== Cluster_LbPolicy.ROUND_ROBIN) {
    invalid(`lb_policy ${lbPolicyName(cluster.lbPolicy)} is not supported`);
  }
}

function lbPolicyName(policy: Cluster_LbPolicy): string {
  return Object.entries(Cluster_LbPolicy).find(([, value]) => value === policy)?.[0] ?? String(policy);
}
