import type { DescFile, DescService } from "@bufbuild/protobuf";
import { lateBuiltins } from "../late-builtins.ts";
import { addDeferredService } from "./deferred-service.ts";
import type { ServiceHost } from "./service-host.ts";

/**
 * Where reflection learns what services and messages look like:
 *
 * - the path of a file with a FileDescriptorSet, or its bytes: `buf build --as-file-descriptor-set -o api.binpb`, or
 *   `protoc --include_imports --descriptor_set_out=api.binpb`
 * - what protobuf-es generated: a file or a service
 * - what grpc-js's proto-loader loaded: a package definition, or a service's
 * - a function that gives one of these, called with the first request
 */
export type DescriptorSource = LoadedDescriptors | (() => LoadedDescriptors | Promise<LoadedDescriptors>);

/** A source of descriptors that is there already. */
export type LoadedDescriptors = string | URL | Uint8Array | DescFile | DescService | GrpcJsDescriptors;

/** A package or service definition whose messages carry `fileDescriptorProtos`, as proto-loader makes them. */
export type GrpcJsDescriptors = Readonly<Record<string, unknown>>;

/** Server reflection: what tools such as grpcurl ask a server to describe itself with. */
export interface Reflection {
  /** Serves it on `server`, as `grpc.reflection.v1` and `v1alpha`. What the server is given later is seen too. */
  addTo(server: ServiceHost): void;
}

/**
 * Reflection that describes what `sources` do, and the services of this package. The list of services is the server's own:
 * it names those without descriptors too.
 *
 * ```ts
 * createReflection("api.binpb").addTo(server);
 * ```
 *
 * Files are read at once and throw where they can't be; everything else waits for the first request.
 */
export function createReflection(...sources: readonly DescriptorSource[]): Reflection {
  const read = sources.map((source) =>
    typeof source === "string" || source instanceof URL ? lateBuiltins.fs.readFileSync(source) : source,
  );
  let loading: Promise<typeof import("./reflection-service.ts")> | undefined;
  return {
    addTo(server) {
      for (const version of ["v1", "v1alpha"]) {
        addDeferredService(server, {
          fullName: `grpc.reflection.${version}.ServerReflection`,
          methods: { ServerReflectionInfo: { requestStream: true, responseStream: true } },
          load: async () => {
            loading ??= import("./reflection-service.ts");
            return (await loading).reflectionService(server, read);
          },
        });
      }
    },
  };
}
