import { message } from "@weft/xds-api";
import type { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import {
  HeaderMatcher,
  Route,
  RouteAction,
  RouteMatch as RouteMatchMessage,
  WeightedCluster,
  WeightedCluster_ClusterWeight,
} from "@weft/xds-api/envoy/config/route/v3/route_components";
import { RegexMatcher } from "@weft/xds-api/envoy/type/matcher/v3/regex";
import { StringMatcher } from "@weft/xds-api/envoy/type/matcher/v3/string";
import type { HeaderMatch, HttpRoute, RouteDestination, RouteMatch, StringMatch } from "../model/resource.ts";

/** The cluster that a destination's calls go to. */
export type ClusterOf = (destination: RouteDestination) => string;

const everyCall: RouteMatch = { headers: [] };

/** The routes of a VirtualService: one for each alternative of each entry, in order. */
export function routesFrom(http: readonly HttpRoute[], clusterOf: ClusterOf): Route[] {
  return http.flatMap(({ name = "", matches, destinations }) => {
    const action = routeTo(weightsOf(destinations, clusterOf));
    return (matches.length === 0 ? [everyCall] : matches).map((match) =>
      message(Route, {
        // Istio's names: the entry's, and the alternative's after a dot.
        name: [name, match.name ?? ""].filter((part) => part !== "").join("."),
        match: routeMatch(match),
        action: { $case: "route", value: action },
      }),
    );
  });
}

/** The action that spreads calls over clusters by weight; with one cluster the weight doesn't matter. */
export function routeTo(weights: ReadonlyMap<string, number>): RouteAction {
  const [only, ...others] = weights.keys();
  if (only !== undefined && others.length === 0) {
    return message(RouteAction, { clusterSpecifier: { $case: "cluster", value: only } });
  }
  const clusters = [...weights].map(([name, weight]) => message(WeightedCluster_ClusterWeight, { name, weight }));
  const value = message(WeightedCluster, { clusters });
  return message(RouteAction, { clusterSpecifier: { $case: "weightedClusters", value } });
}

/** The clusters that a route configuration names, each once, in the order of first mention. */
export function clustersNamedBy({ virtualHosts }: RouteConfiguration): readonly string[] {
  const names = new Set<string>();
  for (const { action } of virtualHosts.flatMap(({ routes }) => routes)) {
    if (action?.$case !== "route") continue;
    const specifier = action.value.clusterSpecifier;
    if (specifier?.$case === "cluster") names.add(specifier.value);
    if (specifier?.$case === "weightedClusters") for (const { name } of specifier.value.clusters) names.add(name);
  }
  return [...names];
}

/** Weights by cluster. Those of one cluster add up (some clients keep only the last one's), and 0 is left out. */
function weightsOf(destinations: readonly RouteDestination[], clusterOf: ClusterOf): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  for (const destination of destinations) {
    const weight = destinations.length === 1 ? 1 : destination.weight;
    if (weight === 0) continue;
    const cluster = clusterOf(destination);
    weights.set(cluster, (weights.get(cluster) ?? 0) + weight);
  }
  return weights;
}

function routeMatch({ uri, headers }: RouteMatch): RouteMatchMessage {
  return message(RouteMatchMessage, { pathSpecifier: pathSpecifier(uri), headers: headers.map(headerMatcher) });
}

function pathSpecifier(uri: StringMatch | undefined): RouteMatchMessage["pathSpecifier"] {
  switch (uri?.kind) {
    case undefined:
      return { $case: "prefix", value: "/" };
    case "exact":
      return { $case: "path", value: uri.value };
    case "prefix":
      return { $case: "prefix", value: uri.value };
    case "regex":
      return { $case: "safeRegex", value: regexMatcher(uri.value) };
  }
}

function headerMatcher({ name, match }: HeaderMatch): HeaderMatcher {
  if (match.kind === "present") {
    return message(HeaderMatcher, { name, headerMatchSpecifier: { $case: "presentMatch", value: true } });
  }
  const value = message(StringMatcher, { matchPattern: matchPattern(match) });
  return message(HeaderMatcher, { name, headerMatchSpecifier: { $case: "stringMatch", value } });
}

function matchPattern({ kind, value }: StringMatch): StringMatcher["matchPattern"] {
  return kind === "regex" ? { $case: "safeRegex", value: regexMatcher(value) } : { $case: kind, value };
}

/** All languages match the whole string, but one puts its anchors around an alternation without grouping it. */
function regexMatcher(pattern: string): RegexMatcher {
  return message(RegexMatcher, { regex: pattern.includes("|") ? `(?:${pattern})` : pattern });
}
