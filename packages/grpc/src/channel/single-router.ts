import { type Balancer, type BalancerPolicy, createBalancer } from "../balancing/balancer.ts";
import type { PlainChannelCredentials } from "../identity/credentials.ts";
import type { ConnectOptions } from "../subchannel/connect-options.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { CallRoute, CallRouter, ChannelEnvironment } from "./resolver.ts";

/** The router of targets that are one set of endpoints: every call goes to the same balancer. */
export class SingleRouter implements CallRouter {
  readonly #route: CallRoute;

  constructor(balancer: Balancer) {
    this.#route = { balancer, timeoutMs: 0 };
  }

  route(): CallRoute {
    return this.#route;
  }

  connectivityState(): ConnectivityState {
    return this.#route.balancer.state;
  }

  exitIdle(): void {
    this.#route.balancer.exitIdle();
  }
}

/** The balancer that a channel's own options ask for, with its credentials (an xDS channel's fallback). */
export function balancerFor(environment: ChannelEnvironment, onResolutionWanted: () => void): Balancer {
  const { pool, pickerChanged, serviceConfig } = environment;
  const policy = policyOf(environment);
  const base = connectOptionsFor(environment);
  const healthCheckService = serviceConfig?.healthCheckService;
  // pick_first goes by connections alone (gRFC A17).
  const isChecking = policy.kind !== "pick_first" && healthCheckService !== undefined;
  const connectOptions = isChecking ? { ...base, healthCheckService } : base;
  return createBalancer(policy, { pool, connectOptions, onPicker: pickerChanged, onResolutionWanted });
}

function policyOf({ options, serviceConfig }: ChannelEnvironment): BalancerPolicy {
  const configured = serviceConfig?.loadBalancing;
  if (options.loadBalancing === undefined) return configured ?? { kind: "pick_first" };
  return configured?.kind === options.loadBalancing ? configured : { kind: options.loadBalancing };
}

/** How a channel's own options say that connections are made. */
export function connectOptionsFor({ credentials, options, authority }: ChannelEnvironment): ConnectOptions {
  const plain: PlainChannelCredentials = credentials.kind === "xds" ? credentials.fallback : credentials;
  return {
    credentials: plain,
    serverName: hostOf(authority),
    ...(options.keepalive === undefined ? {} : { keepalive: options.keepalive }),
    ...(options.maxQueuedCalls === undefined ? {} : { maxQueuedCalls: options.maxQueuedCalls }),
    ...(options.busyPoll === undefined ? {} : { busyPoll: options.busyPoll }),
    ...(options.maxConnectionsPerAddress === undefined ? {} : { maxConnections: options.maxConnectionsPerAddress }),
    ...(options.initialBackoffMs === undefined ? {} : { initialBackoffMs: options.initialBackoffMs }),
    ...(options.maxBackoffMs === undefined ? {} : { maxBackoffMs: options.maxBackoffMs }),
    ...(options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes }),
  };
}

/** `authority` without its port. */
function hostOf(authority: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(authority);
  if (bracketed !== null) return bracketed[1]!;
  return /^[^:]*:\d+$/.test(authority) ? authority.slice(0, authority.indexOf(":")) : authority;
}
