import type { ServerOptions as GrpcJsServerOptions } from "@grpc/grpc-js";
import { type Http2Limits, windowLimits } from "../http2/options.ts";
import type { ServerOptions } from "../server/server.ts";
import { compression, defined, messageLimit } from "./channel-options.ts";

/** grpc-js's way to say that a time is not limited. */
const unlimitedMs = 2 ** 31 - 1;

/**
 * What grpc-js's server options mean here; throws for those that aren't supported. Others that grpc-js ignores are ignored.
 *
 * Beyond grpc-js: `grpc.default_compression_algorithm` compresses responses, gRPC core's
 * `grpc.http2.min_recv_ping_interval_without_data_ms` and `grpc.keepalive_permit_without_calls` judge clients' pings, and
 * `weft.port_name` is what the port is called where a mesh registers it, and `weft.busy_poll: 0` never waits awake.
 */
export function serverOptions(options: GrpcJsServerOptions): ServerOptions {
  if (options["grpc-node.tls_enable_trace"] === 1) {
    throw new TypeError('the server option "grpc-node.tls_enable_trace" is not supported by @weft/grpc');
  }
  const permit = options["grpc.keepalive_permit_without_calls"];
  return defined({
    maxReceiveMessageBytes: messageLimit(options["grpc.max_receive_message_length"]),
    maxSendMessageBytes: messageLimit(options["grpc.max_send_message_length"]),
    compression: compression(options["grpc.default_compression_algorithm"]),
    maxAgeMs: duration(options["grpc.max_connection_age_ms"]),
    maxAgeGraceMs: duration(options["grpc.max_connection_age_grace_ms"]),
    maxIdleMs: duration(options["grpc.max_connection_idle_ms"]),
    // grpc-js pings nobody unless told.
    keepaliveTimeMs: duration(options["grpc.keepalive_time_ms"]) ?? Number.POSITIVE_INFINITY,
    keepaliveTimeoutMs: duration(options["grpc.keepalive_timeout_ms"]),
    minPingIntervalMs: number(options["grpc.http2.min_recv_ping_interval_without_data_ms"]),
    pingsWithoutCalls: permit === undefined ? undefined : permit !== 0,
    portName: text(options["weft.port_name"]),
    busyPoll: options["weft.busy_poll"] === 0 ? false : undefined,
    limits: limits(options),
  });
}

function limits(options: GrpcJsServerOptions): Partial<Http2Limits> {
  const window = number(options["grpc-node.flow_control_window"]);
  return defined({
    maxConcurrentStreams: options["grpc.max_concurrent_streams"],
    ...(window === undefined ? {} : windowLimits(window)),
  });
}

/** Undefined also for what stands for no limit. */
function duration(ms: number | undefined): number | undefined {
  return ms === undefined || ms === -1 || ms >= unlimitedMs ? undefined : ms;
}

function number(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
