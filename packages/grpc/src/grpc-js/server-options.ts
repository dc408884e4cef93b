import type { ServerOptions as GrpcJsServerOptions } from "@grpc/grpc-js";
import type { ServerOptions } from "../server/server.ts";

/** Options that change what a peer sees and that this server doesn't have: refused, since ignoring them would be found in production. */
const unsupported: readonly (keyof GrpcJsServerOptions)[] = [
  "grpc.max_connection_age_ms",
  "grpc.max_connection_age_grace_ms",
  "grpc.max_connection_idle_ms",
  "grpc.keepalive_time_ms",
  "grpc.max_send_message_length",
  "grpc.server_call_metric_recording",
];

/** What grpc-js's server options mean here; throws for those that aren't supported. Others that grpc-js ignores are ignored. */
export function serverOptions(options: GrpcJsServerOptions): ServerOptions {
  for (const name of unsupported) {
    const value: unknown = options[name];
    if (value !== undefined && value !== -1 && value !== 0) {
      throw new TypeError(`the server option "${name}" is not supported by @weft/grpc`);
    }
  }
  const maxReceive = options["grpc.max_receive_message_length"];
  const maxStreams = options["grpc.max_concurrent_streams"];
  return {
    ...(maxReceive === undefined ? {} : { maxReceiveMessageBytes: maxReceive === -1 ? unlimited : maxReceive }),
    ...(maxStreams === undefined ? {} : { limits: { maxConcurrentStreams: maxStreams } }),
  };
}

/** As long as a message's length can be written. */
const unlimited = 2 ** 32 - 1;
