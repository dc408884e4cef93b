import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { messageEncoder } from "./message-writer.ts";
import { protobufRuntime } from "./protobuf-runtime.ts";

/** A message type as ts-proto generates it. */
export interface MessageCodec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A method of a ts-proto generic definition. */
export interface GenericMethod {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly requestType: MessageCodec<any>;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly responseType: MessageCodec<any>;
  readonly responseStream: boolean;
}

/** A service as ts-proto writes it with `outputServices=generic-definitions`. */
export interface GenericServiceDefinition {
  readonly name: string;
  readonly fullName: string;
  readonly methods: Readonly<Record<string, GenericMethod>>;
}

/** A method of a grpc-js ServiceDefinition. */
export interface GrpcJsMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly requestSerialize: (message: any) => Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly requestDeserialize: (bytes: Buffer) => any;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly responseSerialize: (message: any) => Buffer;
  // biome-ignore lint/suspicious/noExplicitAny: methods of one service have different message types
  readonly responseDeserialize: (bytes: Buffer) => any;
}

/** A service as grpc-js's loaders and generators write it. */
export type GrpcJsServiceDefinition = Readonly<Record<string, GrpcJsMethod>>;

/**
 * What a client or a server is made from: what ts-proto generates, what protobuf-es (version 2) generates, or what
 * grpc-js's loaders and generators make.
 */
export type ServiceDefinition = GenericServiceDefinition | DescService | GrpcJsServiceDefinition;

/** The methods of `Service` as its definition describes them, by the name it gives them. */
export type MethodsOf<Service extends ServiceDefinition> = Service extends GenericServiceDefinition
  ? Service["methods"]
  : Service extends DescService
    ? Service["method"]
    : Service;

/** A method's function name: grpc-js definitions name methods as the proto does (`SayHello`), the others as functions. */
export type FunctionName<Service extends ServiceDefinition, Name> = Service extends
  | GenericServiceDefinition
  | DescService
  ? Name
  : Name extends string
    ? Uncapitalize<Name>
    : Name;

/** Whether requests are a stream; `boolean` for definitions that say it only at run time. */
export type StreamsRequests<Method> = Method extends { readonly requestStream: infer Flag }
  ? Flag
  : KindIs<Method, "client_streaming" | "bidi_streaming">;

/** Whether responses are a stream; `boolean` for definitions that say it only at run time. */
export type StreamsResponses<Method> = Method extends { readonly responseStream: infer Flag }
  ? Flag
  : KindIs<Method, "server_streaming" | "bidi_streaming">;

type KindIs<Method, Streaming> = Method extends { readonly methodKind: infer Kind }
  ? Kind extends Streaming
    ? true
    : false
  : boolean;

/** A message of `Codec` as it is written: protobuf-es takes objects with any of the fields too, and makes a message of them. */
type Written<Codec> = Codec extends { encode(message: infer Message): unknown }
  ? Message
  : Codec extends DescMessage
    ? MessageInitShape<Codec>
    : never;

/** A message of `Codec` as it is read. */
type Read<Codec> = Codec extends { decode(bytes: Uint8Array): infer Message }
  ? Message
  : Codec extends DescMessage
    ? MessageShape<Codec>
    : never;

/** A request as its client gives it. */
export type RequestInput<Method> = Method extends { readonly requestType: infer Codec }
  ? Written<Codec>
  : Method extends { readonly input: infer Codec }
    ? Written<Codec>
    : Method extends { readonly requestSerialize: (message: infer Request) => unknown }
      ? Request
      : never;

/** A request as its handler gets it. */
export type RequestOutput<Method> = Method extends { readonly requestType: infer Codec }
  ? Read<Codec>
  : Method extends { readonly input: infer Codec }
    ? Read<Codec>
    : Method extends { readonly requestDeserialize: (bytes: Buffer) => infer Request }
      ? Request
      : never;

/** A response as its handler gives it. */
export type ResponseInput<Method> = Method extends { readonly responseType: infer Codec }
  ? Written<Codec>
  : Method extends { readonly output: infer Codec }
    ? Written<Codec>
    : Method extends { readonly responseSerialize: (message: infer Response) => unknown }
      ? Response
      : never;

/** A response as its client gets it. */
export type ResponseOutput<Method> = Method extends { readonly responseType: infer Codec }
  ? Read<Codec>
  : Method extends { readonly output: infer Codec }
    ? Read<Codec>
    : Method extends { readonly responseDeserialize: (bytes: Buffer) => infer Response }
      ? Response
      : never;

/** A method as both sides work with it, whatever generated it. */
export interface MethodDescriptor {
  /** The function's name on a client and among handlers: `sayHello`. */
  readonly name: string;
  /** `/package.Service/SayHello`. */
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  encodeRequest(message: unknown): Uint8Array;
  decodeRequest(bytes: Buffer): unknown;
  encodeResponse(message: unknown): Uint8Array;
  decodeResponse(bytes: Buffer): unknown;
}

/** The methods of `definition`. */
export function methodsOf(definition: ServiceDefinition): MethodDescriptor[] {
  if (isGeneric(definition)) {
    return Object.entries(definition.methods).map(([key, method]) => genericMethod(definition.fullName, key, method));
  }
  if (isDescService(definition)) return definition.methods.map(protobufEsMethod);
  return Object.entries(definition).map(([key, method]) => grpcJsMethod(key, method));
}

/** The full name of the service, `package.Service`; undefined for a definition without methods and name. */
export function serviceNameOf(definition: ServiceDefinition): string | undefined {
  if (isGeneric(definition)) return definition.fullName;
  if (isDescService(definition)) return definition.typeName;
  const [method] = Object.values(definition);
  return method?.path.split("/")[1];
}

function isGeneric(definition: ServiceDefinition): definition is GenericServiceDefinition {
  return "fullName" in definition && typeof definition["fullName"] === "string";
}

/** By its shape: an application's copy of protobuf-es need not be the one that this package finds. */
function isDescService(definition: DescService | GrpcJsServiceDefinition): definition is DescService {
  return definition["kind"] === "service";
}

function genericMethod(service: string, key: string, method: GenericMethod): MethodDescriptor {
  const { requestType, responseType } = method;
  return {
    name: key,
    path: `/${service}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    encodeRequest: messageEncoder(requestType),
    decodeRequest: (bytes) => requestType.decode(bytes),
    encodeResponse: messageEncoder(responseType),
    decodeResponse: (bytes) => responseType.decode(bytes),
  };
}

function protobufEsMethod(method: DescMethod): MethodDescriptor {
  const { input, output, methodKind } = method;
  const { create, fromBinary, toBinary } = protobufRuntime();
  return {
    name: method.localName,
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: methodKind === "client_streaming" || methodKind === "bidi_streaming",
    responseStream: methodKind === "server_streaming" || methodKind === "bidi_streaming",
    // A message passes through `create` as it is.
    encodeRequest: (message) => toBinary(input, create(input, message as MessageInitShape<typeof input>)),
    decodeRequest: (bytes) => fromBinary(input, plainBytes(bytes)),
    encodeResponse: (message) => toBinary(output, create(output, message as MessageInitShape<typeof output>)),
    decodeResponse: (bytes) => fromBinary(output, plainBytes(bytes)),
  };
}

/** Fields of bytes alias the message, and of its class: protobuf-es promises Uint8Arrays, whose `slice` copies. */
function plainBytes(bytes: Buffer): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function grpcJsMethod(key: string, method: GrpcJsMethod): MethodDescriptor {
  return {
    name: key.charAt(0).toLowerCase() + key.slice(1),
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    encodeRequest: method.requestSerialize,
    decodeRequest: method.requestDeserialize,
    encodeResponse: method.responseSerialize,
    decodeResponse: method.responseDeserialize,
  };
}
