import type { ServerContext } from "../rpc/server-call.ts";

/** A message type as ts-proto generates it. */
export interface MessageType<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

/** A method of a ts-proto generic definition. */
export interface GenericMethod<Request, Response> {
  readonly name: string;
  readonly requestType: MessageType<Request>;
  readonly requestStream: boolean;
  readonly responseType: MessageType<Response>;
  readonly responseStream: boolean;
}

/** A service as ts-proto's `outputServices=generic-definitions` writes it. */
export interface GenericService {
  readonly fullName: string;
  readonly methods: { readonly [name: string]: GenericMethod<unknown, unknown> };
}

/** A method of a grpc-js ServiceDefinition, spelled out so that grpc-js need not be there. */
export interface PathMethod<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(message: Request): Uint8Array;
  requestDeserialize(bytes: Buffer): Request;
  responseSerialize(message: Response): Uint8Array;
  responseDeserialize(bytes: Buffer): Response;
}

/** A service as grpc-js's generators write it. */
export interface PathService {
  readonly [name: string]: PathMethod<unknown, unknown>;
}

/** What `add` takes: either generator's output. */
export type ServiceDefinition = GenericService | PathService;

type MethodsOf<Service extends ServiceDefinition> = Service extends GenericService ? Service["methods"] : Service;

type MessagesOf<Method> =
  Method extends GenericMethod<infer Request, infer Response>
    ? { request: Request; response: Response }
    : Method extends PathMethod<infer Request, infer Response>
      ? { request: Request; response: Response }
      : never;

/**
 * The function that serves one method: async for one response, an async generator (or anything that returns an
 * AsyncIterable) for a stream of them; the request is a message, or an AsyncIterable to be read once.
 */
export type MethodHandler<Method extends { readonly requestStream: boolean; readonly responseStream: boolean }> = (
  request: Method["requestStream"] extends true
    ? AsyncIterable<MessagesOf<Method>["request"]>
    : MessagesOf<Method>["request"],
  context: ServerContext,
) => Method["responseStream"] extends true
  ? AsyncIterable<MessagesOf<Method>["response"]>
  : Promise<MessagesOf<Method>["response"]> | MessagesOf<Method>["response"];

/** One handler per method, named as the definition names it. */
export type ServiceHandlers<Service extends ServiceDefinition> = {
  readonly [Name in keyof MethodsOf<Service>]: MethodsOf<Service>[Name] extends infer Method extends {
    readonly requestStream: boolean;
    readonly responseStream: boolean;
  }
    ? MethodHandler<Method>
    : never;
};

/** One method of either kind of definition, in the one form the server works with. */
export interface ServedMethod {
  readonly name: string;
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly decode: (bytes: Buffer) => unknown;
  readonly encode: (message: unknown) => Uint8Array;
}

/** The methods of `service`. */
export function methodsOf(service: ServiceDefinition): ServedMethod[] {
  if (isGeneric(service)) {
    return Object.entries(service.methods).map(([name, method]) => ({
      name,
      path: `/${service.fullName}/${method.name}`,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      decode: (bytes) => method.requestType.decode(bytes),
      encode: (message) => method.responseType.encode(message).finish(),
    }));
  }
  return Object.entries(service).map(([name, method]) => ({
    name,
    path: method.path,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    decode: (bytes) => method.requestDeserialize(bytes),
    encode: (message) => method.responseSerialize(message),
  }));
}

function isGeneric(service: ServiceDefinition): service is GenericService {
  return typeof service["fullName"] === "string";
}
