import type { BalancerPolicy } from "../balancing/balancer.ts";
import type { ChannelCredentials } from "../identity/credentials.ts";
import type { CallCredentials } from "../rpc/call-credentials.ts";
import type { MessageEncoding } from "../rpc/compression.ts";
import type { KeepaliveOptions } from "../subchannel/connect-options.ts";

/** How a channel is made; everything has a default. */
export interface ChannelOptions {
  /** Default: plaintext; for `xds:` targets what the control plane says, and plaintext where it says nothing. */
  readonly credentials?: ChannelCredentials;
  /** Asked for metadata that proves who calls, for every call. Refused in plaintext. */
  readonly callCredentials?: CallCredentials;
  /** `:authority` of every call, and the name that a certificate must be for. Default: from the target. */
  readonly authority?: string;
  /** A longer response message ends its call with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number;
  /** The same for requests, which are not sent then. Default: no limit. */
  readonly maxSendMessageBytes?: number;
  /** How requests are compressed. Default `identity`. Responses are read however the server compresses them. */
  readonly compression?: MessageEncoding;
  /**
   * Settings by method, retry policies and more (gRFC A2, A6): the JSON of gRPC's service configs, or the object that it
   * stands for. A mistake in it is a TypeError that names the field.
   */
  readonly serviceConfig?: string | object;
  /** Retries and hedging by policy. Default true; what it costs without a policy is nothing. */
  readonly retries?: boolean;
  /** What one call may keep for further attempts. Default 1 MiB; beyond it the call has no more of them. */
  readonly callRetryBufferBytes?: number;
  /** The same for all calls of the channel together. Default 16 MiB. */
  readonly retryBufferBytes?: number;
  /** Attempts of one call in all, the first included, whatever more its policy says. Default 5. */
  readonly maxAttempts?: number;
  /** Pings that notice a dead peer. Default: none. */
  readonly keepalive?: KeepaliveOptions;
  /** Put before this package's own in `user-agent`. */
  readonly userAgent?: string;
  /** For targets that don't bring their own (dns, ipv4, ipv6, unix). Default: as the service config says, or `pick_first`. */
  readonly loadBalancing?: BalancerPolicy["kind"];
  /** Calls that may wait at once, for a connection, and for a free stream to one address; further ones fail with RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number;
  /**
   * The HTTP proxy that connections go through, `http://user:password@host:port`; false: none. It is for every host, and
   * looks names up itself. For `dns:`, `ipv4:` and `ipv6:` targets; with others, which are reached straight, a TypeError.
   *
   * Default: the first that is set of `grpc_proxy`, `https_proxy` and `http_proxy` in the environment, but for hosts that
   * `no_grpc_proxy`, or where that isn't set `no_proxy`, has.
   */
  readonly proxy?: string | false;
  /** `user:password` for a proxy, named here or by the environment, whose URL has none. */
  readonly proxyCredentials?: string;
  /** Connections to one address: another is opened when all are as full as the peer allows (gRFC A105). Default 10. */
  readonly maxConnectionsPerAddress?: number;
  /** A channel without calls for this long, and up to half as long again, gives its connections back until the next call. Default 30 min; 0: never. */
  readonly idleTimeoutMs?: number;
  /**
   * With a single call in flight to a peer that answers within 100 µs, wait for the answer without sleeping: a fraction of the latency, and
   * on virtual machines less processor time too. Default true.
   */
  readonly busyPoll?: boolean;
  /** The first wait after a failed connection attempt. Default 1 s. */
  readonly initialBackoffMs?: number;
  /** Default 120 s. */
  readonly maxBackoffMs?: number;
  /** How far a response may run ahead of its reader at first; grows with bandwidth and delay. Default 256 KiB, 1 MiB a connection. */
  readonly windowBytes?: number;
  /** Between two lookups of a `dns:` name, however often its connections fail. Default 30 s. */
  readonly minLookupIntervalMs?: number;
  /** Whether channelz tells of the channel. Default true. */
  readonly isListed?: boolean;
}
