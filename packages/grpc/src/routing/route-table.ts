import { type HeaderPredicate, type HeaderValues, headerPredicate } from "../matching/header-match.ts";
import { type StringPredicate, stringPredicate } from "../matching/string-match.ts";
import type { RouteActionConfig, RouteConfig, VirtualHostConfig, WeightedCluster } from "./route-config.ts";

/** Makes what a call gets from a route: asked once per route and cluster when the table is compiled, never per call. */
export interface RouteTargets<T> {
  /** Calls go to `cluster`, and end after `timeoutMs` (0: no limit). */
  cluster(name: string, timeoutMs: number): T;
  /** Calls fail with UNAVAILABLE for `reason`. */
  failure(reason: string): T;
}

interface CompiledRoute<T> {
  readonly path: StringPredicate;
  readonly headers: readonly HeaderPredicate[];
  readonly perMillion: number;
  readonly targets: readonly T[];
  /** Running sums of the weights, one per target. */
  readonly sums: readonly number[];
  readonly totalWeight: number;
}

/** One virtual host's routes, compiled: immutable, replaced as a whole. */
export class RouteTable<T> {
  readonly #routes: readonly CompiledRoute<T>[];
  readonly #unmatched: T;

  constructor(routes: readonly CompiledRoute<T>[], unmatched: T) {
    this.#routes = routes;
    this.#unmatched = unmatched;
  }

  /**
   * Where a call of `path` with `headers` goes: the first route that matches decides, then its weights.
   *
   * `random` gives numbers in [0, 1); it is drawn only where a fraction or a weight asks for it.
   */
  route(path: string, headers: HeaderValues, random: () => number): T {
    for (const route of this.#routes) {
      if (route.path(path) && matchesAll(route.headers, headers) && isDrawn(route.perMillion, random)) {
        return pick(route, random);
      }
    }
    return this.#unmatched;
  }
}

function matchesAll(predicates: readonly HeaderPredicate[], headers: HeaderValues): boolean {
  for (const predicate of predicates) {
    if (!predicate(headers)) return false;
  }
  return true;
}

function isDrawn(perMillion: number, random: () => number): boolean {
  return perMillion >= 1_000_000 || random() * 1_000_000 < perMillion;
}

function pick<T>(route: CompiledRoute<T>, random: () => number): T {
  const last = route.targets.length - 1;
  if (last > 0) {
    const drawn = random() * route.totalWeight;
    for (let index = 0; index < last; index++) {
      if (drawn < route.sums[index]!) return route.targets[index]!;
    }
  }
  return route.targets[last]!;
}

function weighted<T>(clusters: readonly WeightedCluster[], target: (name: string) => T) {
  let totalWeight = 0;
  const sums = clusters.map((cluster) => {
    totalWeight += cluster.weight;
    return totalWeight;
  });
  return { targets: clusters.map((cluster) => target(cluster.name)), sums, totalWeight };
}

function targetsOf<T>(route: RouteConfig, targets: RouteTargets<T>, defaultTimeoutMs: number) {
  const action: RouteActionConfig = route.action;
  if (action.kind === "forward") {
    const timeoutMs = action.timeoutMs ?? defaultTimeoutMs;
    return weighted(action.clusters, (name) => targets.cluster(name, timeoutMs));
  }
  const what = action.kind === "nonForwarding" ? "non_forwarding_action" : action.what;
  const title = route.name === "" ? "the matching route" : `route "${route.name}"`;
  return {
    targets: [targets.failure(`${title} has action ${what}, which a client can't follow`)],
    sums: [1],
    totalWeight: 1,
  };
}

/** The routes of `host`, compiled for calls. `defaultTimeoutMs` is the listener's limit for routes without their own. */
export function compileRouteTable<T>(
  host: VirtualHostConfig,
  targets: RouteTargets<T>,
  defaultTimeoutMs = 0,
): RouteTable<T> {
  const routes = host.routes.map((route) => ({
    path: stringPredicate(route.match.path),
    headers: route.match.headers.map(headerPredicate),
    perMillion: route.match.perMillion ?? 1_000_000,
    ...targetsOf(route, targets, defaultTimeoutMs),
  }));
  return new RouteTable(routes, targets.failure(`no route of virtual host "${host.name}" matches the call`));
}
