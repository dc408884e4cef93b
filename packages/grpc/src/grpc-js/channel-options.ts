import type { compressionAlgorithms, ChannelOptions as GrpcJsChannelOptions } from "@grpc/grpc-js";
import type { ChannelOptions } from "../channel/channel-options.ts";
import type { MessageEncoding } from "../rpc/compression.ts";

/**
 * What grpc-js's channel options mean here, but for credentials and `grpc.http_connect_target`, which changes the target
 * (`throughHttpConnect`). Throws for those that can't hold. Others that grpc-js ignores are ignored. `weft.busy_poll: 0` never waits awake.
 */
export function channelOptions(options: GrpcJsChannelOptions): ChannelOptions {
  if (options["grpc.service_config_disable_resolution"] === 0) {
    throw new TypeError(
      'the channel option "grpc.service_config_disable_resolution" can only be 1 with @weft/grpc: ' +
        'service configs are not looked up in DNS, pass one as "grpc.service_config"',
    );
  }
  const agents = [options["grpc.primary_user_agent"], options["grpc.secondary_user_agent"]].filter((part) => part);
  const retries = options["grpc.enable_retries"];
  return defined({
    authority: options["grpc.default_authority"],
    maxReceiveMessageBytes: messageLimit(options["grpc.max_receive_message_length"]),
    maxSendMessageBytes: messageLimit(options["grpc.max_send_message_length"]),
    compression: compression(options["grpc.default_compression_algorithm"]),
    serviceConfig: options["grpc.service_config"],
    retries: retries === undefined ? undefined : retries !== 0,
    maxAttempts: options["grpc-node.retry_max_attempts_limit"],
    callRetryBufferBytes: options["grpc.per_rpc_retry_buffer_size"],
    retryBufferBytes: options["grpc.retry_buffer_size"],
    idleTimeoutMs: options["grpc.client_idle_timeout_ms"],
    keepalive: keepalive(options),
    userAgent: agents.length === 0 ? undefined : agents.join(" "),
    initialBackoffMs: options["grpc.initial_reconnect_backoff_ms"],
    maxBackoffMs: options["grpc.max_reconnect_backoff_ms"],
    busyPoll: options["weft.busy_poll"] === 0 ? false : undefined,
    proxy: options["grpc.enable_http_proxy"] === 0 ? (false as const) : undefined,
    proxyCredentials: options["grpc.http_connect_creds"],
    windowBytes: options["grpc-node.flow_control_window"],
    minLookupIntervalMs: options["grpc.dns_min_time_between_resolutions_ms"],
    isListed: options["grpc.enable_channelz"] === 0 ? false : undefined,
  });
}

/** A message length of grpc-js, where -1 means any. */
export function messageLimit(bytes: number | undefined): number | undefined {
  return bytes === -1 ? unlimited : bytes;
}

/** `grpc.default_compression_algorithm` by name; throws for a number that names none. */
export function compression(algorithm: compressionAlgorithms | undefined): MessageEncoding | undefined {
  if (algorithm === undefined) return undefined;
  const encoding = encodings[algorithm];
  if (encoding === undefined) {
    throw new TypeError(`"grpc.default_compression_algorithm" is one of 0, 1 and 2, not ${String(algorithm)}`);
  }
  return encoding;
}

const encodings: readonly (MessageEncoding | undefined)[] = ["identity", "deflate", "gzip"];

function keepalive(options: GrpcJsChannelOptions): ChannelOptions["keepalive"] {
  const timeMs = options["grpc.keepalive_time_ms"];
  if (timeMs === undefined) return undefined;
  const timeoutMs = options["grpc.keepalive_timeout_ms"];
  const withoutCalls = options["grpc.keepalive_permit_without_calls"] === 1;
  return { timeMs, withoutCalls, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

/** `T` without its undefined values. */
export type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

/** `values` without those that are undefined. */
export function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** As long as a message's length can be written. */
const unlimited = 2 ** 32 - 1;
