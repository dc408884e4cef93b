import type { Balancer } from "../balancing/balancer.ts";
import type { CallRoute, CallRouter } from "../channel/resolver.ts";
import { clusterNamesOf } from "../routing/route-config.ts";
import { compileRouteTable, type RouteTable } from "../routing/route-table.ts";
import { RpcError } from "../rpc/error.ts";
import type { Metadata } from "../rpc/metadata.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import { ClusterRoute, type ClusterTarget } from "./cluster-target.ts";
import type { ServedConfig } from "./config-graph.ts";

/** The best state of several, as a channel's: one that works is enough. */
const statesFromBest: readonly ConnectivityState[] = ["READY", "CONNECTING", "IDLE", "TRANSIENT_FAILURE"];

/** The compiled routes of one target over its clusters; `targets` has each of them. */
export class XdsRouter implements CallRouter {
  readonly #table: RouteTable<CallRoute | RpcError>;
  readonly #targets: readonly ClusterTarget[];
  readonly #random: () => number;

  constructor(config: ServedConfig, targets: ReadonlyMap<string, ClusterTarget>, random: () => number) {
    this.#targets = clusterNamesOf(config.host).map((name) => targets.get(name)!);
    this.#random = random;
    this.#table = compileRouteTable<CallRoute | RpcError>(
      config.host,
      {
        cluster: (name, timeoutMs) => new ClusterRoute(targets.get(name)!, timeoutMs),
        failure: (reason) => new RpcError("UNAVAILABLE", reason),
      },
      config.defaultTimeoutMs,
    );
  }

  route(path: string, metadata: Metadata): CallRoute | RpcError {
    return this.#table.route(path, metadata, this.#random);
  }

  connectivityState(): ConnectivityState {
    const states = new Set(this.#targets.map((target) => target.balancer.state));
    // Without a cluster there is nothing to connect to, and nothing that could work.
    return statesFromBest.find((state) => states.has(state)) ?? "TRANSIENT_FAILURE";
  }

  exitIdle(): void {
    for (const target of this.#targets) target.balancer.exitIdle();
  }
}

/** Fails every call that doesn't wait for better times. */
export class FailingRouter implements CallRouter {
  readonly #route: CallRoute;

  constructor(error: RpcError) {
    this.#route = { balancer: failingBalancer(error), timeoutMs: 0 };
  }

  route(): CallRoute {
    return this.#route;
  }

  connectivityState(): ConnectivityState {
    return "TRANSIENT_FAILURE";
  }
}

function failingBalancer(error: RpcError): Balancer {
  const nothing = () => undefined;
  return {
    picker: { kind: "fail", error },
    state: "TRANSIENT_FAILURE",
    updateEndpoints: nothing,
    onResolverError: nothing,
    exitIdle: nothing,
    close: nothing,
  };
}
