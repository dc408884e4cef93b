import type { RuntimeFractionalPercent } from "@weft/xds-api/envoy/config/core/v3/base";
import type { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import type { Route, RouteAction, RouteMatch, VirtualHost } from "@weft/xds-api/envoy/config/route/v3/route_components";
import { FractionalPercent_DenominatorType } from "@weft/xds-api/envoy/type/v3/percent";
import type { StringMatch } from "../matching/string-match.ts";
import type {
  RouteActionConfig,
  RouteConfig,
  RouteMatch as RouteMatchConfig,
  RouteTableConfig,
  VirtualHostConfig,
  WeightedCluster,
} from "../routing/route-config.ts";
import { isDomainPattern } from "../routing/virtual-host.ts";
import { durationMs } from "./duration.ts";
import { checkFilterOverrides } from "./http-filters.ts";
import { invalid, quoted, within } from "./invalid-resource.ts";
import { parseHeaderMatcher, parseRegex } from "./matchers.ts";

/**
 * A RouteConfiguration as data (gRFC A27, A28, A31, A36, A39).
 *
 * What gRPC cannot express is treated as the gRFCs say: some routes are left out, some kept to fail their calls, the rest
 * refuses the resource.
 */
export function parseRouteConfiguration(config: RouteConfiguration): RouteTableConfig {
  const plugins = new Set<string>();
  for (const plugin of config.clusterSpecifierPlugins) {
    const name = plugin.extension?.name ?? "";
    if (!plugin.isOptional) invalid(`cluster specifier plugin ${quoted(name)} is not supported`);
    plugins.add(name);
  }
  checkFilterOverrides(config.typedPerFilterConfig);
  return { virtualHosts: config.virtualHosts.map((host) => parseVirtualHost(host, plugins)) };
}

function parseVirtualHost(host: VirtualHost, plugins: ReadonlySet<string>): VirtualHostConfig {
  return within(`virtual host ${quoted(host.name)}`, () => {
    if (host.domains.length === 0) invalid("no domains");
    for (const domain of host.domains) {
      if (!isDomainPattern(domain)) invalid(`domain ${quoted(domain)} is not a name with at most one * at an end`);
    }
    checkFilterOverrides(host.typedPerFilterConfig);
    const routes: RouteConfig[] = [];
    for (const [index, route] of host.routes.entries()) {
      const parsed = within(`route ${route.name === "" ? index : quoted(route.name)}`, () =>
        parseRoute(route, plugins),
      );
      if (parsed !== undefined) routes.push(parsed);
    }
    return { name: host.name, domains: host.domains, routes };
  });
}

/** The route, or undefined where gRPC has to act as if it were not there. */
function parseRoute(route: Route, plugins: ReadonlySet<string>): RouteConfig | undefined {
  if (route.match === undefined) return invalid("no match");
  // Before anything else of the match is read, as the route may use what only Envoy has: gRFC A28.
  if (route.match.queryParameters.length > 0) return undefined;
  const match = parseMatch(route.match);
  checkFilterOverrides(route.typedPerFilterConfig);
  const action = parseAction(route, plugins);
  return action === undefined ? undefined : { name: route.name, match, action };
}

function parseMatch(match: RouteMatch): RouteMatchConfig {
  const parsed = { path: parsePath(match), headers: match.headers.map(parseHeaderMatcher) };
  if (match.runtimeFraction === undefined) return parsed;
  return { ...parsed, perMillion: perMillion(match.runtimeFraction) };
}

function parsePath(match: RouteMatch): StringMatch {
  const specifier = match.pathSpecifier;
  const ignoreCase = match.caseSensitive === false;
  switch (specifier?.$case) {
    case "prefix":
      return { kind: "prefix", value: specifier.value, ignoreCase };
    case "path":
      return { kind: "exact", value: specifier.value, ignoreCase };
    case "safeRegex":
      return parseRegex(specifier.value);
    default:
      return invalid(`path specifier ${specifier?.$case ?? "unset"} is not supported`);
  }
}

function perMillion(fraction: RuntimeFractionalPercent): number {
  const numerator = fraction.defaultValue?.numerator ?? 0;
  switch (fraction.defaultValue?.denominator ?? FractionalPercent_DenominatorType.HUNDRED) {
    case FractionalPercent_DenominatorType.HUNDRED:
      return Math.min(numerator * 10_000, 1_000_000);
    case FractionalPercent_DenominatorType.TEN_THOUSAND:
      return Math.min(numerator * 100, 1_000_000);
    case FractionalPercent_DenominatorType.MILLION:
      return Math.min(numerator, 1_000_000);
    default:
      return invalid("runtime_fraction with an unknown denominator");
  }
}

function parseAction(route: Route, plugins: ReadonlySet<string>): RouteActionConfig | undefined {
  switch (route.action?.$case) {
    case "route":
      return parseForward(route.action.value, plugins);
    case "nonForwardingAction":
      return { kind: "nonForwarding" };
    default:
      return { kind: "unsupported", what: route.action?.$case ?? "(none)" };
  }
}

function parseForward(action: RouteAction, plugins: ReadonlySet<string>): RouteActionConfig | undefined {
  const clusters = parseClusters(action, plugins);
  if (clusters === undefined) return undefined;
  // gRFC A31: the header limit wins over the stream's; Envoy's `timeout` has no effect in gRPC.
  const limit = action.maxStreamDuration?.grpcTimeoutHeaderMax ?? action.maxStreamDuration?.maxStreamDuration;
  if (limit === undefined) return { kind: "forward", clusters };
  return { kind: "forward", clusters, timeoutMs: within("max_stream_duration", () => durationMs(limit)) };
}

function parseClusters(action: RouteAction, plugins: ReadonlySet<string>): WeightedCluster[] | undefined {
  const specifier = action.clusterSpecifier;
  switch (specifier?.$case) {
    case "cluster":
      if (specifier.value === "") invalid("cluster without a name");
      return [{ name: specifier.value, weight: 1 }];
    case "weightedClusters":
      return parseWeightedClusters(specifier.value.clusters);
    case "clusterSpecifierPlugin":
      if (!plugins.has(specifier.value)) invalid(`cluster specifier plugin ${quoted(specifier.value)} is not declared`);
      return undefined;
    default:
      return undefined;
  }
}

type ClusterWeights = Extract<RouteAction["clusterSpecifier"], { $case: "weightedClusters" }>["value"]["clusters"];

function parseWeightedClusters(weights: ClusterWeights): WeightedCluster[] {
  const clusters: WeightedCluster[] = [];
  let total = 0;
  for (const { name, weight = 0, typedPerFilterConfig } of weights) {
    checkFilterOverrides(typedPerFilterConfig);
    if (weight === 0) continue;
    if (name === "") invalid("weighted cluster without a name");
    total += weight;
    clusters.push({ name, weight });
  }
  if (total === 0) invalid("the weights of its clusters add up to 0");
  if (total > 0xffffffff) invalid(`the weights of its clusters add up to ${total}, more than 2^32-1`);
  return clusters;
}
