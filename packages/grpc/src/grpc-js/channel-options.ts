import type { ChannelOptions as GrpcJsChannelOptions } from "@grpc/grpc-js";
import type { ChannelOptions } from "../channel/channel-options.ts";

/** Options that change what calls do and that this channel doesn't have: refused, since ignoring them would be found in production. */
const unsupported: readonly (keyof GrpcJsChannelOptions)[] = [
  "grpc.service_config",
  "grpc.max_send_message_length",
  "grpc.default_compression_algorithm",
  "grpc.http_connect_target",
];

/** What grpc-js's channel options mean here, but for credentials; throws for those that aren't supported. */
export function channelOptions(options: GrpcJsChannelOptions): ChannelOptions {
  for (const name of unsupported) {
    const value: unknown = options[name];
    if (value !== undefined && value !== -1 && value !== 0) {
      throw new TypeError(`the channel option "${name}" is not supported by @weft/grpc`);
    }
  }
  const maxReceive = options["grpc.max_receive_message_length"];
  const agents = [options["grpc.primary_user_agent"], options["grpc.secondary_user_agent"]].filter((part) => part);
  return defined({
    authority: options["grpc.default_authority"],
    maxReceiveMessageBytes: maxReceive === -1 ? unlimited : maxReceive,
    keepalive: keepalive(options),
    userAgent: agents.length === 0 ? undefined : agents.join(" "),
    initialBackoffMs: options["grpc.initial_reconnect_backoff_ms"],
    maxBackoffMs: options["grpc.max_reconnect_backoff_ms"],
  });
}

function keepalive(options: GrpcJsChannelOptions): ChannelOptions["keepalive"] {
  const timeMs = options["grpc.keepalive_time_ms"];
  if (timeMs === undefined) return undefined;
  const timeoutMs = options["grpc.keepalive_timeout_ms"];
  const withoutCalls = options["grpc.keepalive_permit_without_calls"] === 1;
  return { timeMs, withoutCalls, ...(timeoutMs === undefined ? {} : { timeoutMs }) };
}

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

function defined<T extends object>(values: T): Defined<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>;
}

/** As long as a message's length can be written. */
const unlimited = 2 ** 32 - 1;
