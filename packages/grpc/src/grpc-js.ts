/**
 * `@weft/grpc/grpc-js`: grpc-js's whole surface on this package's transport. An application moves by changing the import;
 * generated stubs that import grpc-js themselves take `channelFactoryOverride: channelFactory`.
 */
import { registerXds } from "./xds-wiring.ts";

registerXds();

export * from "./grpc-js/surface.ts";
