// Builders of xDS resources with everything a client needs and nothing else; what a test is about is passed in.
import { message, pack, typeUrls } from "@weft/xds-api";
import { Cluster, Cluster_DiscoveryType } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { Address, SocketAddress } from "@weft/xds-api/envoy/config/core/v3/address";
import { Locality, TransportSocket } from "@weft/xds-api/envoy/config/core/v3/base";
import { ConfigSource } from "@weft/xds-api/envoy/config/core/v3/config_source";
import { HealthStatus } from "@weft/xds-api/envoy/config/core/v3/health_check";
import { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import { Endpoint, LbEndpoint, LocalityLbEndpoints } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint_components";
import { ApiListener } from "@weft/xds-api/envoy/config/listener/v3/api_listener";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { Filter, FilterChain } from "@weft/xds-api/envoy/config/listener/v3/listener_components";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import {
  NonForwardingAction,
  Route,
  RouteAction,
  RouteMatch,
  VirtualHost,
  WeightedCluster,
  WeightedCluster_ClusterWeight,
} from "@weft/xds-api/envoy/config/route/v3/route_components";
import { Router } from "@weft/xds-api/envoy/extensions/filters/http/router/v3/router";
import {
  HttpConnectionManager,
  HttpFilter,
  Rds,
} from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import {
  CertificateProviderPluginInstance,
  CertificateValidationContext,
} from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/common";
import {
  CommonTlsContext,
  DownstreamTlsContext,
  UpstreamTlsContext,
} from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import { StringMatcher } from "@weft/xds-api/envoy/type/matcher/v3/string";
import type { Any } from "@weft/xds-api/google/protobuf/any";

export const ads = message(ConfigSource, { configSourceSpecifier: { $case: "ads", value: {} } });

const router = message(HttpFilter, {
  name: "router",
  configType: { $case: "typedConfig", value: pack(typeUrls.router, Router, message(Router, {})) },
});

export function connectionManager(fields: Partial<HttpConnectionManager>): Any {
  const manager = message(HttpConnectionManager, { httpFilters: [router], ...fields });
  return pack(typeUrls.httpConnectionManager, HttpConnectionManager, manager);
}

const rds = (routeConfigName: string) =>
  ({ $case: "rds", value: message(Rds, { configSource: ads, routeConfigName }) }) as const;

/** A client's listener that takes its routes from RDS. */
export function listener(name: string, routeName: string, manager: Partial<HttpConnectionManager> = {}): Listener {
  const apiListener = connectionManager({ routeSpecifier: rds(routeName), ...manager });
  return message(Listener, { name, apiListener: message(ApiListener, { apiListener }) });
}

/** `80` percent to one cluster and the rest to another: `{ v1: 20, v2: 80 }`; one name: all calls to it. */
export type Split = string | Readonly<Record<string, number>>;

export function route(split: Split, match: Partial<RouteMatch> = {}, action: Partial<RouteAction> = {}): Route {
  const clusterSpecifier: RouteAction["clusterSpecifier"] =
    typeof split === "string"
      ? { $case: "cluster", value: split }
      : {
          $case: "weightedClusters",
          value: message(WeightedCluster, {
            clusters: Object.entries(split).map(([name, weight]) =>
              message(WeightedCluster_ClusterWeight, { name, weight }),
            ),
          }),
        };
  return message(Route, {
    match: message(RouteMatch, { pathSpecifier: { $case: "prefix", value: "/" }, ...match }),
    action: { $case: "route", value: message(RouteAction, { clusterSpecifier, ...action }) },
  });
}

export function virtualHost(routes: readonly Route[], domains: readonly string[] = ["*"]): VirtualHost {
  return message(VirtualHost, { name: domains[0] ?? "", domains: [...domains], routes: [...routes] });
}

/** Routes of one virtual host for every domain. */
export function routeConfiguration(name: string, routes: readonly Route[] | Split, domains?: readonly string[]) {
  const list = Array.isArray(routes) ? (routes as readonly Route[]) : [route(routes as Split)];
  return message(RouteConfiguration, { name, virtualHosts: [virtualHost(list, domains)] });
}

export function cluster(name: string, fields: Partial<Cluster> = {}): Cluster {
  return message(Cluster, {
    name,
    clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.EDS },
    edsClusterConfig: { edsConfig: ads, serviceName: "" },
    ...fields,
  });
}

export function address(host: string, port: number): Address {
  const portSpecifier = { $case: "portValue", value: port } as const;
  return message(Address, {
    address: { $case: "socketAddress", value: message(SocketAddress, { address: host, portSpecifier }) },
  });
}

export function endpoint(
  port: number,
  healthStatus: HealthStatus = HealthStatus.HEALTHY,
  host = "127.0.0.1",
): LbEndpoint {
  return message(LbEndpoint, {
    healthStatus,
    hostIdentifier: { $case: "endpoint", value: message(Endpoint, { address: address(host, port) }) },
  });
}

export function locality(
  endpoints: readonly LbEndpoint[],
  fields: Partial<LocalityLbEndpoints> = {},
): LocalityLbEndpoints {
  return message(LocalityLbEndpoints, {
    locality: message(Locality, {}),
    loadBalancingWeight: 1,
    lbEndpoints: [...endpoints],
    ...fields,
  });
}

/** Endpoints on loopback ports, or localities. */
export function endpoints(clusterName: string, ...ports: readonly (number | LocalityLbEndpoints)[]) {
  const localities = ports.filter((port) => typeof port !== "number");
  const plain = ports.filter((port) => typeof port === "number");
  return message(ClusterLoadAssignment, {
    clusterName,
    endpoints: plain.length > 0 ? [locality(plain.map((port) => endpoint(port))), ...localities] : localities,
  });
}

const provider = (instanceName: string) =>
  message(CertificateProviderPluginInstance, { instanceName, certificateName: "" });

/** mTLS with the provider instance `default`; `names` are exact SANs. */
export function upstreamTls(names: readonly string[], common: Partial<CommonTlsContext> = {}): TransportSocket {
  const validation = message(CertificateValidationContext, {
    caCertificateProviderInstance: provider("default"),
    matchSubjectAltNames: names.map((value) => message(StringMatcher, { matchPattern: { $case: "exact", value } })),
  });
  const context = message(UpstreamTlsContext, {
    commonTlsContext: message(CommonTlsContext, {
      tlsCertificateProviderInstance: provider("default"),
      validationContextType: { $case: "validationContext", value: validation },
      ...common,
    }),
  });
  return tlsSocket(pack(typeUrls.upstreamTlsContext, UpstreamTlsContext, context));
}

/** mTLS with the provider instance `default`. */
export function downstreamTls(fields: Partial<DownstreamTlsContext> = {}): TransportSocket {
  const validation = message(CertificateValidationContext, { caCertificateProviderInstance: provider("default") });
  const context = message(DownstreamTlsContext, {
    requireClientCertificate: true,
    commonTlsContext: message(CommonTlsContext, {
      tlsCertificateProviderInstance: provider("default"),
      validationContextType: { $case: "validationContext", value: validation },
    }),
    ...fields,
  });
  return tlsSocket(pack(typeUrls.downstreamTlsContext, DownstreamTlsContext, context));
}

function tlsSocket(value: Any): TransportSocket {
  return message(TransportSocket, {
    name: "envoy.transport_sockets.tls",
    configType: { $case: "typedConfig", value },
  });
}

/** Everything that a server handles itself. */
export const nonForwarding = message(Route, {
  match: message(RouteMatch, { pathSpecifier: { $case: "prefix", value: "/" } }),
  action: { $case: "nonForwardingAction", value: message(NonForwardingAction, {}) },
});

/** A server's listener, plaintext unless a transport socket is given. */
export function serverListener(
  name: string,
  options: {
    readonly host?: string;
    readonly port?: number;
    readonly transportSocket?: TransportSocket;
    readonly manager?: Partial<HttpConnectionManager>;
    readonly chain?: Partial<FilterChain>;
    readonly listener?: Partial<Listener>;
  } = {},
): Listener {
  const value = connectionManager({
    routeSpecifier: { $case: "routeConfig", value: routeConfiguration("inbound", [nonForwarding]) },
    ...options.manager,
  });
  const chain = message(FilterChain, {
    name: "inbound",
    filters: [message(Filter, { name: "hcm", configType: { $case: "typedConfig", value } })],
    ...options.chain,
  });
  if (options.transportSocket !== undefined) chain.transportSocket = options.transportSocket;
  return message(Listener, {
    name,
    address: address(options.host ?? "127.0.0.1", options.port ?? 17070),
    filterChains: [chain],
    ...options.listener,
  });
}

/** A resource as a response carries it. */
export const any = {
  listener: (value: Listener) => pack(typeUrls.listener, Listener, value),
  routes: (value: RouteConfiguration) => pack(typeUrls.routeConfiguration, RouteConfiguration, value),
  cluster: (value: Cluster) => pack(typeUrls.cluster, Cluster, value),
  endpoints: (value: ClusterLoadAssignment) => pack(typeUrls.clusterLoadAssignment, ClusterLoadAssignment, value),
};
