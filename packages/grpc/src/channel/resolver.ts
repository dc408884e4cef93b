import type { Balancer } from "../balancing/balancer.ts";
import type { ChannelCredentials } from "../identity/credentials.ts";
import type { RpcError } from "../rpc/error.ts";
import type { Metadata } from "../rpc/metadata.ts";
import type { RetryPolicy } from "../rpc/retry-policy.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { SubchannelSource } from "../subchannel/subchannel-pool.ts";
import type { ChannelOptions } from "./channel-options.ts";
import type { ProxyChoice } from "./proxy-choice.ts";
import type { ServiceConfig } from "./service-config.ts";
import type { Target } from "./target.ts";

/** Where a call goes, the longest it may take, and how it is tried again. */
export interface CallRoute {
  readonly balancer: Balancer;
  /** From the start of the call; 0: no limit. The call's own deadline holds too. */
  readonly timeoutMs: number;
  /** For methods that the service config gives no policy. */
  readonly retry?: RetryPolicy | undefined;
}

/** Picks a route per call: pure, synchronous, replaced as a whole. */
export interface CallRouter {
  /** An error fails the call, whether it waits for ready or not. `metadata` is shared: not to be changed. */
  route(path: string, metadata: Metadata): CallRoute | RpcError;
  /** The channel's state as this router's balancers add up; without it: READY. */
  connectivityState?(): ConnectivityState;
  /** Makes IDLE balancers connect, for `connectivityState(true)`. */
  exitIdle?(): void;
}

/** What a resolver tells its channel. May be called at any time until `close`, from within the factory too. */
export interface ResolverListener {
  /** The router from now on; calls that wait are routed anew. */
  onRouter(router: CallRouter): void;
  /**
   * Calls that don't wait for ready fail with it until a router comes, or until it is withdrawn with undefined: from then
   * on they wait. A router already given stays.
   */
  onError(error: RpcError | undefined): void;
}

/** What a channel gives its resolver to work with. */
export interface ChannelEnvironment {
  readonly pool: SubchannelSource;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
  /** Its options' service config. */
  readonly serviceConfig?: ServiceConfig | undefined;
  /** The `:authority` of the channel's calls, which is also the name to verify. */
  readonly authority: string;
  /** What the channel's connections go through. */
  readonly proxyFor: ProxyChoice;
  /** A balancer of the router has a new picker: calls that wait are tried again. Hand it to `createBalancer` as `onPicker`. */
  readonly pickerChanged: () => void;
}

/** Follows one target. Owns the balancers of its routers. */
export interface Resolver {
  /** A hint that what is known may be stale. */
  resolveNow(): void;
  close(): void;
}

/** Makes the resolver of `target`. Throws an RpcError for a target that makes no sense. */
export type ResolverFactory = (target: Target, listener: ResolverListener, environment: ChannelEnvironment) => Resolver;

type Load = () => ResolverFactory | Promise<ResolverFactory>;

const loaders = new Map<string, Load>();

/** Makes `scheme:` targets known to every channel of the process. `load` runs at the first target of that scheme. */
export function registerResolver(scheme: string, load: Load): void {
  loaders.set(scheme, load);
}

/** How to get the factory for `scheme`; undefined for an unknown one. */
export function resolverLoader(scheme: string): Load | undefined {
  return loaders.get(scheme);
}
