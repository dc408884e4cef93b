/** All of grpc-js, its transport replaced: what stands below wins over the star. */
export * from "@grpc/grpc-js";
export { Channel, channelFactory } from "./channel.ts";
export { addAdminServicesToServer, getChannelzHandlers } from "./channelz.ts";
export {
  Client,
  loadPackageDefinition,
  makeClientConstructor,
  makeClientConstructor as makeGenericClientConstructor,
} from "./client.ts";
export { Server } from "./server.ts";
export { XdsChannelCredentials } from "./xds-channel-credentials.ts";
export { XdsServerCredentials } from "./xds-server-credentials.ts";
