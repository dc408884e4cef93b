import type { DescService } from "@bufbuild/protobuf";
import type { ServerContext } from "../rpc/server-call.ts";
import type {
  GenericServiceDefinition,
  RequestOutput,
  ResponseInput,
  ServiceDefinition,
  StreamsRequests,
  StreamsResponses,
} from "../rpc/service-definition.ts";

/**
 * The function that serves one method: async for a single response, an async generator (or whatever returns an
 * AsyncIterable) for a stream of them. The request is a message, or an AsyncIterable to be read once.
 *
 * Throwing an RpcError ends the call with its status; anything else is UNKNOWN to the caller.
 */
export type MethodHandler<Method> = (
  request: StreamsRequests<Method> extends true ? AsyncIterable<RequestOutput<Method>> : RequestOutput<Method>,
  context: ServerContext,
) => StreamsResponses<Method> extends true
  ? AsyncIterable<ResponseInput<Method>>
  : Promise<ResponseInput<Method>> | ResponseInput<Method>;

/**
 * One handler per method of `Service`, by the method's camel-case name: the uppercase first letters of grpc-js
 * definitions (`SayHello`) are lowered, as its own handlers allow.
 */
export type ServiceHandlers<Service extends ServiceDefinition> = Service extends GenericServiceDefinition
  ? { readonly [Name in keyof Service["methods"]]: MethodHandler<Service["methods"][Name]> }
  : Service extends DescService
    ? { readonly [Name in keyof Service["method"]]: MethodHandler<Service["method"][Name]> }
    : { readonly [Name in keyof Service as Uncapitalize<Name & string>]: MethodHandler<Service[Name]> };
