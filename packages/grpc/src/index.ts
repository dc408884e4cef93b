/**
 * gRPC for Node: a promise client and server, in a mesh or not.
 *
 * ```ts
 * await using client = createClient(GreeterDefinition, "xds:///greet.v1.Greeter");
 * const { text } = await client.sayHello({ name: "Ada" }, { timeoutMs: 1000 });
 * ```
 *
 * Loads neither grpc-js nor anything of xDS: the latter comes with the first `xds:` target or mesh server.
 */
import { registerXds } from "./xds-wiring.ts";

registerXds();

export { Channel } from "./channel/channel.ts";
export type { ChannelOptions } from "./channel/channel-options.ts";
export { createClient } from "./channel/client.ts";
export type { CallOptions, Client, ClientFunction } from "./channel/client-types.ts";
export {
  type KeyPair,
  type TlsChannelCredentialsOptions,
  type TlsServerCredentialsOptions,
  tlsChannelCredentials,
  tlsServerCredentials,
  xdsChannelCredentials,
  xdsServerCredentials,
} from "./credentials.ts";
export {
  type ChannelCredentials,
  insecure,
  type PlainChannelCredentials,
  type PlainServerCredentials,
  type ServerCredentials,
} from "./identity/credentials.ts";
export type { SpiffeId } from "./identity/spiffe.ts";
export { RpcError, type RpcErrorOptions } from "./rpc/error.ts";
export { Metadata, type MetadataInit, type MetadataValue } from "./rpc/metadata.ts";
export type { CallPeer, ServerContext } from "./rpc/server-call.ts";
export type { ServiceDefinition } from "./rpc/service-definition.ts";
export { Status, type StatusName } from "./rpc/status.ts";
export type { MethodHandler, ServiceHandlers } from "./server/handlers.ts";
export type { ListeningAddress, Server } from "./server/server.ts";
export { type Channelz, createChannelz } from "./services/channelz.ts";
export { createHealth, type Health, type HealthStatus } from "./services/health.ts";
export {
  createReflection,
  type DescriptorSource,
  type GrpcJsDescriptors,
  type LoadedDescriptors,
  type Reflection,
} from "./services/reflection.ts";
export type { ServiceHost } from "./services/service-host.ts";
export type { ConnectivityState } from "./subchannel/connectivity-state.ts";
export { createServer, type MeshServerOptions as ServerOptions } from "./xds-wiring.ts";
