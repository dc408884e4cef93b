import type { HeaderMatch } from "../matching/header-match.ts";
import type { StringMatch } from "../matching/string-match.ts";

/** A validated RouteConfiguration: plain data that compares by value. Order is precedence. */
export interface RouteTableConfig {
  readonly virtualHosts: readonly VirtualHostConfig[];
}

export interface VirtualHostConfig {
  readonly name: string;
  /** `host`, `*.suffix`, `prefix*` or `*`. */
  readonly domains: readonly string[];
  readonly routes: readonly RouteConfig[];
}

export interface RouteConfig {
  readonly name: string;
  readonly match: RouteMatch;
  readonly action: RouteActionConfig;
}

export interface RouteMatch {
  /** exact, prefix or regex. */
  readonly path: StringMatch;
  readonly headers: readonly HeaderMatch[];
  /** The part of calls that may take this route, in millionths; absent means all. */
  readonly perMillion?: number;
}

export interface WeightedCluster {
  readonly name: string;
  /** Greater than 0. */
  readonly weight: number;
}

export type RouteActionConfig =
  | {
      readonly kind: "forward";
      /** At least one. */
      readonly clusters: readonly WeightedCluster[];
      /** gRFC A31's max_stream_duration; 0 means no limit, absent means the listener's default. */
      readonly timeoutMs?: number;
    }
  /** The server handles the call itself (gRFC A36). */
  | { readonly kind: "nonForwarding" }
  /** An action gRPC does not have (redirect, direct_response, …): a call that takes it fails. */
  | { readonly kind: "unsupported"; readonly what: string };

/** Every cluster that a call of this virtual host may go to, each once. */
export function clusterNamesOf(host: VirtualHostConfig): readonly string[] {
  const names = new Set<string>();
  for (const route of host.routes) {
    if (route.action.kind !== "forward") continue;
    for (const cluster of route.action.clusters) names.add(cluster.name);
  }
  return [...names];
}
