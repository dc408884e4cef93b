import { fileURLToPath } from "node:url";
import { lateBuiltins } from "../late-builtins.ts";

/** What services of protobuf-es need of its runtime. */
export type ProtobufRuntime = Pick<typeof import("@bufbuild/protobuf"), "create" | "fromBinary" | "toBinary">;

let runtime: ProtobufRuntime | undefined;

/**
 * The runtime of protobuf-es: an optional peer, loaded by the first service that was generated for it.
 *
 * Clients and servers are made synchronously, so it can't be an `import()`; required by its ES module's file, it is the
 * instance that the generated code has loaded already. Throws where the package isn't installed.
 */
export function protobufRuntime(): ProtobufRuntime {
  if (runtime === undefined) {
    const file = fileURLToPath(import.meta.resolve("@bufbuild/protobuf"));
    runtime = lateBuiltins.module.createRequire(import.meta.url)(file) as ProtobufRuntime;
  }
  return runtime;
}
