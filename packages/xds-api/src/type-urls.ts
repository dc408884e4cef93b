/** The type URLs of what travels in xDS (v3 only: all gRPC clients since 2021 speak it). */
export const typeUrls = {
  listener: "type.googleapis.com/envoy.config.listener.v3.Listener",
  routeConfiguration: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
  cluster: "type.googleapis.com/envoy.config.cluster.v3.Cluster",
  clusterLoadAssignment: "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
  httpConnectionManager:
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  router: "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
  fault: "type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault",
  upstreamTlsContext: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
  downstreamTlsContext: "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
} as const;

/** The four resource types of ADS. */
export type TypeUrl =
  | typeof typeUrls.listener
  | typeof typeUrls.routeConfiguration
  | typeof typeUrls.cluster
  | typeof typeUrls.clusterLoadAssignment;

const shortNames: Readonly<Record<string, string>> = {
  [typeUrls.listener]: "LDS",
  [typeUrls.routeConfiguration]: "RDS",
  [typeUrls.cluster]: "CDS",
  [typeUrls.clusterLoadAssignment]: "EDS",
};

/** The discovery service of a type URL, as people say it: LDS, RDS, CDS, EDS; other URLs come back as they are. */
export function shortTypeName(typeUrl: string): string {
  return shortNames[typeUrl] ?? typeUrl;
}
