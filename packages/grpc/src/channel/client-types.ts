import type { StartOptions } from "../rpc/client-call.ts";
import type { Metadata } from "../rpc/metadata.ts";
import type {
  FunctionName,
  MethodsOf,
  RequestInput,
  ResponseOutput,
  ServiceDefinition,
  StreamsRequests,
  StreamsResponses,
} from "../rpc/service-definition.ts";

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
  request: Either<
    StreamsRequests<Method>,
    AsyncIterable<RequestInput<Method>> | Iterable<RequestInput<Method>>,
    RequestInput<Method>
  >,
  options?: CallOptions,
) => Either<
  StreamsResponses<Method>,
  AsyncIterableIterator<ResponseOutput<Method>, void, void>,
  Promise<ResponseOutput<Method>>
>;

/** Definitions loaded at run time say only `boolean`: either is possible then. */
type Either<IsStream, Stream, Single> = IsStream extends true ? Stream : Single;
