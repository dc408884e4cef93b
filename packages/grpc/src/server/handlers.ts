import type { ServerContext } from "../rpc/server-call.ts";
import type { GenericServiceDefinition, ServiceDefinition } from "../rpc/service-definition.ts";

type RequestOf<Method> = Method extends { readonly requestType: { decode(bytes: Uint8Array): infer Request } }
  ? Request
  : Method extends { readonly requestDeserialize: (bytes: Buffer) => infer Request }
    ? Request
    : never;

type ResponseOf<Method> = Method extends { readonly responseType: { encode(message: infer Response): unknown } }
  ? Response
  : Method extends { readonly responseSerialize: (message: infer Response) => unknown }
    ? Response
    : never;

/**
 * The function that serves one method: async for a single response, an async generator (or whatever returns an
 * AsyncIterable) for a stream of them. The request is a message, or an AsyncIterable to be read once.
 *
 * Throwing an RpcError ends the call with its status; anything else is UNKNOWN to the caller.
 */
export type MethodHandler<Method> = (
  request: Method extends { readonly requestStream: true } ? AsyncIterable<RequestOf<Method>> : RequestOf<Method>,
  context: ServerContext,
) => Method extends { readonly responseStream: true }
  ? AsyncIterable<ResponseOf<Method>>
  : Promise<ResponseOf<Method>> | ResponseOf<Method>;

/**
 * One handler per method of `Service`, by the method's camel-case name: the uppercase first letters of grpc-js
 * definitions (`SayHello`) are lowered, as its own handlers allow.
 */
export type ServiceHandlers<Service extends ServiceDefinition> = Service extends GenericServiceDefinition
  ? { readonly [Name in keyof Service["methods"]]: MethodHandler<Service["methods"][Name]> }
  : { readonly [Name in keyof Service as Uncapitalize<Name & string>]: MethodHandler<Service[Name]> };
