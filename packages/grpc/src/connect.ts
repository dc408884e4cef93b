/**
 * `@weft/grpc/connect`: connect-es (version 2) clients on this package's channel, by the gRPC protocol.
 *
 * ```ts
 * await using transport = createWeftTransport({ target: "xds:///greet.v1.Greeter" });
 * const client = createClient(Greeter, transport); // of @connectrpc/connect
 * ```
 */
import { registerXds } from "./xds-wiring.ts";

registerXds();

export { connectErrorOf, rpcErrorOf } from "./connect/connect-error.ts";
export { createWeftTransport, type WeftTransport, type WeftTransportOptions } from "./connect/transport.ts";
