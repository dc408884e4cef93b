import { message, pack, parseInboundListenerName, typeUrls } from "@weft/xds-api";
import { Address, SocketAddress } from "@weft/xds-api/envoy/config/core/v3/address";
import { TrafficDirection, TransportSocket } from "@weft/xds-api/envoy/config/core/v3/base";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { Filter, FilterChain } from "@weft/xds-api/envoy/config/listener/v3/listener_components";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import {
  NonForwardingAction,
  Route,
  RouteMatch,
  VirtualHost,
} from "@weft/xds-api/envoy/config/route/v3/route_components";
import { DownstreamTlsContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import type { MeshReader } from "../model/mesh-reader.ts";
import type { Audience } from "./audience.ts";
import { managerWithRoutes } from "./http-connection-manager.ts";
import { commonTlsContext, tlsTransportSocketName } from "./tls-context.ts";

/**
 * The listener of a server, by the address exactly as bound; undefined unless the audience itself registered that port.
 *
 * Found by the stream's node id; where the stream's identity is proven it must be the registration's too. On the
 * plaintext port nothing is proven: there a node id is enough, and the answer holds nothing secret.
 *
 * One filter chain without a match, plaintext or mTLS, never both: gRPC has no permissive mode. The bytes depend on nothing
 * but address and mode, because clients drain all connections of a listener that changes.
 */
export function serverListenerFor(reader: MeshReader, audience: Audience, name: string): Listener | undefined {
  const bound = parseInboundListenerName(name);
  if (bound === undefined) return undefined;
  const own = reader.inbound(audience.nodeId, bound.port);
  if (own === undefined || (audience.spiffeId !== undefined && audience.spiffeId !== own.spiffeId)) return undefined;
  const socketAddress = message(SocketAddress, {
    address: bound.host,
    portSpecifier: { $case: "portValue", value: bound.port },
  });
  return message(Listener, {
    name,
    address: message(Address, { address: { $case: "socketAddress", value: socketAddress } }),
    filterChains: [own.mutualTls === "STRICT" ? mutualTlsChain() : filterChain("inbound-plaintext")],
    trafficDirection: TrafficDirection.INBOUND,
  });
}

function filterChain(name: string): FilterChain {
  const manager = message(Filter, {
    name: "inbound-hcm",
    configType: { $case: "typedConfig", value: managerWithRoutes(inboundRoutes()) },
  });
  return message(FilterChain, { name, filters: [manager] });
}

function mutualTlsChain(): FilterChain {
  // No SAN matching: on a server's listener Go, Java and C++ refuse it. Who may call what is a policy's matter.
  const context = message(DownstreamTlsContext, {
    commonTlsContext: commonTlsContext([]),
    requireClientCertificate: true,
  });
  const transportSocket = message(TransportSocket, {
    name: tlsTransportSocketName,
    configType: { $case: "typedConfig", value: pack(typeUrls.downstreamTlsContext, DownstreamTlsContext, context) },
  });
  return { ...filterChain("inbound-mtls"), transportSocket };
}

function inboundRoutes(): RouteConfiguration {
  const everything = message(Route, {
    match: message(RouteMatch, { pathSpecifier: { $case: "prefix", value: "/" } }),
    action: { $case: "nonForwardingAction", value: message(NonForwardingAction, {}) },
  });
  const virtualHost = message(VirtualHost, { name: "inbound", domains: ["*"], routes: [everything] });
  return message(RouteConfiguration, { name: "inbound", virtualHosts: [virtualHost] });
}
