import type { GrpcModule } from "./stub-client.ts";

/** What runs on Node: ours by its promise API, ours by grpc-js's, and grpc-js. */
export type Stack = "promise" | "facade" | "grpc-js";

/** The module with grpc-js's API that `stack` is. */
export function grpcModule(stack: Exclude<Stack, "promise">): Promise<GrpcModule> {
  return stack === "facade" ? import("@weft/grpc/grpc-js") : import("@grpc/grpc-js");
}
