import type { PlainChannelCredentials } from "../identity/credentials.ts";

/**
 * How the connections of a subchannel are made. Part of its key in the pool by identity: keep one object for the life of
 * what it describes, and make a new one when it changes.
 */
export interface ConnectOptions {
  readonly credentials: PlainChannelCredentials;
  /** The name to verify and to send as SNI where the credentials don't say; default: the address's host. */
  readonly serverName?: string;
  readonly keepalive?: KeepaliveOptions;
  /** The first wait after a failed attempt. Default 1 s. */
  readonly initialBackoffMs?: number;
  /** Default 120 s. */
  readonly maxBackoffMs?: number;
  /** Connections to the address, while the peer's limit of streams makes calls wait. Default 10. */
  readonly maxConnections?: number;
  /** How far the peer may run ahead of what is read, on a stream and on the connection, at first. Default as `defaultLimits`. */
  readonly windowBytes?: number;
  /** Calls that may wait for a free stream; further ones fail with RESOURCE_EXHAUSTED. Default 10,000. */
  readonly maxQueuedCalls?: number;
  /** The service whose health decides whether a connection takes calls (gRFC A17); empty: the server's as a whole. Default: none. */
  readonly healthCheckService?: string;
  /** Waiting awake for near peers (`BusyPoll`). Default true. */
  readonly busyPoll?: boolean;
  /** What one attempt may take, TCP, TLS and the peer's SETTINGS together. Default 20 s. */
  readonly connectTimeoutMs?: number;
}

/** Pings that notice a dead peer; off unless given. */
export interface KeepaliveOptions {
  /** A ping is sent when nothing was read for this long (noticed within twice that). At least 10 s: servers hang up on less. */
  readonly timeMs: number;
  /** The connection is given up when nothing was read for this long after a ping. Default 20 s. */
  readonly timeoutMs?: number;
  /** Also while no call is open. Default false. */
  readonly withoutCalls?: boolean;
}
