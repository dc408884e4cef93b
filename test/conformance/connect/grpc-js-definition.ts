// The suite's service as grpc-js's loaders would describe it.
import { create, type DescMethod, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { MethodDefinition, ServiceDefinition } from "@weft/grpc/grpc-js";
import { conformanceService } from "./messages.ts";

type Message = Parameters<typeof toBinary>[1];

/** By the methods' local names. */
export const conformanceDefinition: ServiceDefinition = Object.fromEntries(
  conformanceService.methods.map((method) => [method.localName, definitionOf(method)]),
);

function definitionOf({ name, parent, input, output, methodKind }: DescMethod): MethodDefinition<Message, Message> {
  return {
    path: `/${parent.typeName}/${name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    requestSerialize: (message) => Buffer.from(toBinary(input, create(input, message))),
    requestDeserialize: (bytes) => fromBinary(input, new Uint8Array(bytes)),
    responseSerialize: (message) => Buffer.from(toBinary(output, create(output, message))),
    responseDeserialize: (bytes) => fromBinary(output, new Uint8Array(bytes)),
  };
}
