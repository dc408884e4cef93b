import type { BalancerPolicy } from "../balancing/balancer.ts";
import type { ChannelCredentials } from "../identity/credentials.ts";
import type { KeepaliveOptions } from "../subchannel/connect-options.ts";

/** How a channel is made; everything has a default. */
export interface ChannelOptions {
  /** Default: plaintext. */
  readonly credentials?: ChannelCredentials;
  /** `:authority` of every call, and the name that a certificate must be for. Default: from the target. */
  readonly authority?: string;
  /** A longer response message ends its call with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number;
  /** Pings that notice a dead peer. Default: none. */
  readonly keepalive?: KeepaliveOptions;
  /** Put before this package's own in `user-agent`. */
  readonly userAgent?: string;
  /** For targets that don't bring their own (dns, ipv4, ipv6, unix). Default `pick_first`. */
  readonly loadBalancing?: BalancerPolicy["kind"];
  /** Calls that may wait for a connection at once; further ones fail with RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number;
  /** The first wait after a failed connection attempt. Default 1 s. */
  readonly initialBackoffMs?: number;
  /** Default 120 s. */
  readonly maxBackoffMs?: number;
}
