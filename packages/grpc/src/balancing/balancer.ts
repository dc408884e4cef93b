import type { RpcError } from "../rpc/error.ts";
import type { ConnectOptions } from "../subchannel/connect-options.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { SubchannelSource } from "../subchannel/subchannel-pool.ts";
import type { Endpoint } from "./endpoint.ts";
import { PickFirst } from "./pick-first.ts";
import type { Picker } from "./picker.ts";
import { RoundRobin } from "./round-robin.ts";

/** Which algorithm balances, with its settings. */
export type BalancerPolicy =
  /** `shuffle`: in random order, so that clients of one list don't all go to its first (gRFC A62). */
  { readonly kind: "pick_first"; readonly shuffle?: boolean } | { readonly kind: "round_robin" };

/** What a balancer works with. */
export interface BalancerOptions {
  readonly pool: SubchannelSource;
  readonly connectOptions: ConnectOptions;
  /** The picker was replaced. Called from within `updateEndpoints` and `exitIdle` too, never after `close`. */
  readonly onPicker: (picker: Picker) => void;
  /** Addresses may be stale: a connection failed or ended. */
  readonly onResolutionWanted?: () => void;
  /** Uniform in [0, 1); tests pass their own. */
  readonly random?: () => number;
}

/** Turns endpoints and the states of their subchannels into a picker. */
export interface Balancer {
  readonly picker: Picker;
  readonly state: ConnectivityState;
  /** Takes a new set of endpoints; connections to those that stay are kept. None at all fails calls with UNAVAILABLE. */
  updateEndpoints(endpoints: readonly Endpoint[]): void;
  /** Fails calls with `error` if nothing better is known: endpoints given before stay. */
  onResolverError(error: RpcError): void;
  /** Connects, if IDLE. */
  exitIdle(): void;
  /** Gives its subchannels back. Open calls go on. */
  close(): void;
}

/** A balancer without endpoints yet: its picker queues until `updateEndpoints`. */
export function createBalancer(policy: BalancerPolicy, options: BalancerOptions): Balancer {
  return policy.kind === "round_robin" ? new RoundRobin(options) : new PickFirst(options, policy.shuffle);
}
