import { typeUrls, unpack } from "@weft/xds-api";
import { TrafficDirection } from "@weft/xds-api/envoy/config/core/v3/base";
import type { ConfigSource } from "@weft/xds-api/envoy/config/core/v3/config_source";
import type { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import type { FilterChain, FilterChainMatch } from "@weft/xds-api/envoy/config/listener/v3/listener_components";
import { HttpConnectionManager } from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import type { RouteTableConfig } from "../routing/route-config.ts";
import { durationMs } from "./duration.ts";
import { checkHttpFilters, type FilterSide } from "./http-filters.ts";
import { invalid, quoted, within } from "./invalid-resource.ts";
import { parseRouteConfiguration } from "./route-configuration.ts";
import { type DownstreamTls, type ParseEnvironment, parseDownstreamTls } from "./tls-context.ts";

/** Where a listener's routes are: in it, or a resource of their own. */
export type RouteSource =
  | { readonly kind: "inline"; readonly config: RouteTableConfig }
  | { readonly kind: "rds"; readonly name: string };

/** What a client reads from a Listener (gRFC A27). */
export interface ClientListener {
  readonly kind: "client";
  readonly routes: RouteSource;
  /** The limit of calls whose route has none of its own; 0: none (gRFC A31). */
  readonly defaultTimeoutMs: number;
}

/** What a server reads from a Listener (gRFC A36): the one chain that takes every connection. */
export interface ServerListener {
  readonly kind: "server";
  /** What the listener says it is bound to. */
  readonly address: { readonly host: string; readonly port: number };
  /** Undefined: plaintext, or the server's fallback. */
  readonly tls?: DownstreamTls;
  readonly routes: RouteSource;
}

export type ListenerConfig = ClientListener | ServerListener;

/** A Listener as data. Istio's client listeners carry an address beside their api_listener: the latter decides. */
export function parseListener(listener: Listener, environment: ParseEnvironment): ListenerConfig {
  const api = listener.apiListener;
  if (api === undefined) return parseServerListener(listener, environment);
  return within("api_listener", () => {
    const manager = parseConnectionManager(api.apiListener ?? invalid("nothing in it"), "client");
    return { kind: "client", ...manager };
  });
}

function parseConnectionManager(any: Any, side: FilterSide): Omit<ClientListener, "kind"> {
  const manager = unpack(any, typeUrls.httpConnectionManager, HttpConnectionManager);
  if (manager === undefined) return invalid(`type ${quoted(any.typeUrl)} is not an HttpConnectionManager`);
  // Both would let a peer choose its own source address: gRFC A41.
  if (manager.xffNumTrustedHops !== 0) invalid("xff_num_trusted_hops is not supported");
  if (manager.originalIpDetectionExtensions.length > 0) invalid("original_ip_detection_extensions is not supported");
  checkHttpFilters(manager.httpFilters, side);
  const limit = manager.commonHttpProtocolOptions?.maxStreamDuration;
  const defaultTimeoutMs = limit === undefined ? 0 : within("max_stream_duration", () => durationMs(limit));
  return { routes: parseRouteSource(manager), defaultTimeoutMs };
}

function parseRouteSource(manager: HttpConnectionManager): RouteSource {
  const specifier = manager.routeSpecifier;
  switch (specifier?.$case) {
    case "routeConfig":
      return { kind: "inline", config: within("route_config", () => parseRouteConfiguration(specifier.value)) };
    case "rds": {
      if (!isAds(specifier.value.configSource)) invalid("rds.config_source is neither ads nor self");
      if (specifier.value.routeConfigName === "") invalid("rds without a route_config_name");
      return { kind: "rds", name: specifier.value.routeConfigName };
    }
    default:
      return invalid(`route specifier ${specifier?.$case ?? "unset"} is not supported`);
  }
}

/** Whether a resource comes over the stream that named it. */
export function isAds(source: ConfigSource | undefined): boolean {
  const kind = source?.configSourceSpecifier?.$case;
  return kind === "ads" || kind === "self";
}

function parseServerListener(listener: Listener, environment: ParseEnvironment): ServerListener {
  const address = listener.address?.address;
  if (address?.$case !== "socketAddress") return invalid("neither an api_listener nor an address.socket_address");
  if (listener.listenerFilters.length > 0) invalid("listener_filters is not supported");
  if (listener.useOriginalDst === true) invalid("use_original_dst is not supported");
  if (listener.trafficDirection === TrafficDirection.OUTBOUND) invalid("traffic_direction is OUTBOUND");
  const { address: host, portSpecifier } = address.value;
  if (portSpecifier?.$case !== "portValue") invalid("address without a port number");
  const usable = listener.filterChains.filter((chain) => canMatch(chain.filterChainMatch));
  if (usable.length > 1) invalid("several filter chains match the same connections");
  const chain = usable[0] ?? listener.defaultFilterChain ?? invalid("no filter chain that a connection could match");
  return {
    kind: "server",
    address: { host, port: Number(portSpecifier?.value) },
    ...within(`filter chain ${quoted(chain.name)}`, () => parseFilterChain(chain, environment)),
  };
}

/** Whether a chain takes part in the choice at all (gRFC A36); what would split connections by address is refused. */
function canMatch(match: FilterChainMatch | undefined): boolean {
  if (match === undefined) return true;
  if (match.destinationPort !== undefined || match.serverNames.length > 0 || match.applicationProtocols.length > 0) {
    return false;
  }
  if (match.transportProtocol !== "" && match.transportProtocol !== "raw_buffer") return false;
  const splits =
    match.prefixRanges.length + match.sourcePrefixRanges.length + match.directSourcePrefixRanges.length > 0 ||
    match.sourcePorts.length > 0 ||
    match.sourceType !== 0;
  if (splits) invalid("filter chains chosen by address are not supported");
  return true;
}

function parseFilterChain(chain: FilterChain, environment: ParseEnvironment): Pick<ServerListener, "tls" | "routes"> {
  const [filter, second] = chain.filters;
  if (filter === undefined || second !== undefined) return invalid("it needs exactly one network filter");
  if (filter.configType?.$case !== "typedConfig")
    return invalid(`network filter ${quoted(filter.name)} has no typed_config`);
  const { routes } = parseConnectionManager(filter.configType.value, "server");
  if (chain.transportSocket === undefined) return { routes };
  return { routes, tls: parseDownstreamTls(chain.transportSocket, environment) };
}
