import type { StartOptions } from "../rpc/client-call.ts";
import type { Metadata } from "../rpc/metadata.ts";
import type { GenericServiceDefinition, ServiceDefinition } from "../rpc/service-definition.ts";

/** What one call may be told, and what it tells besides its messages. */
export interface CallOptions extends StartOptions {
  /** Response headers. An error thrown here ends the call with it. */
  readonly onHeaders?: (headers: Metadata) => void;
  /** Trailers, also those that come with an error. */
  readonly onTrailers?: (trailers: Metadata) => void;
}

/** A client's functions and their end: one camel-case function per method of the service. */
export type Client<Service extends ServiceDefinition> = {
  readonly [Name in keyof MethodsOf<Service> as FunctionName<Service, Name>]: ClientFunction<MethodsOf<Service>[Name]>;
} & AsyncDisposable;

/**
 * The function that calls one method: a message or an (async) iterable of them in; a promise, or an async iterable that is
 * read once, out. A stream that is left early (`break`) is cancelled; one that is never read holds its connection's memory.
 */
export type ClientFunction<Method> = (
  request: ByKind<
    Method,
    "requestStream",
    AsyncIterable<RequestOf<Method>> | Iterable<RequestOf<Method>>,
    RequestOf<Method>
  >,
  options?: CallOptions,
) => ByKind<
  Method,
  "responseStream",
  AsyncIterableIterator<ResponseOf<Method>, void, void>,
  Promise<ResponseOf<Method>>
>;

type MethodsOf<Service extends ServiceDefinition> = Service extends GenericServiceDefinition
  ? Service["methods"]
  : Service;

/** grpc-js definitions name methods as the proto does (`SayHello`), ts-proto's as functions (`sayHello`). */
type FunctionName<Service extends ServiceDefinition, Name> = Service extends GenericServiceDefinition
  ? Name
  : Name extends string
    ? Uncapitalize<Name>
    : Name;

/** Definitions loaded at run time say only `boolean`: either is possible then. */
type ByKind<Method, Key extends string, Stream, Single> =
  Method extends Readonly<Record<Key, infer Flag>> ? (Flag extends true ? Stream : Single) : never;

type RequestOf<Method> = Method extends { readonly requestType: { encode(message: infer Request): unknown } }
  ? Request
  : Method extends { readonly requestSerialize: (message: infer Request) => unknown }
    ? Request
    : never;

type ResponseOf<Method> = Method extends { readonly responseType: { decode(bytes: Uint8Array): infer Response } }
  ? Response
  : Method extends { readonly responseDeserialize: (bytes: Buffer) => infer Response }
    ? Response
    : never;
