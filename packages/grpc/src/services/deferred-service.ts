import { RpcError } from "../rpc/error.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import {
  type GenericMethod,
  type GenericServiceDefinition,
  type MessageCodec,
  type MethodDescriptor,
  methodsOf,
  type ServiceDefinition,
} from "../rpc/service-definition.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import type { ServiceHost } from "./service-host.ts";

/** What a method's requests and responses are: one, or a stream. */
export interface MethodKind {
  readonly requestStream?: true;
  readonly responseStream?: true;
}

/** A service known by name only: its messages and its code are loaded with its first call. */
export interface DeferredService<Service extends ServiceDefinition> {
  readonly fullName: string;
  /** By the method's name on the wire. */
  readonly methods: Readonly<Record<string, MethodKind>>;
  /** Called once. `definition` may bear another name: only its methods' names and messages count. */
  readonly load: () => Promise<{ readonly definition: Service; readonly handlers: ServiceHandlers<Service> }>;
}

interface LoadedMethod extends MethodDescriptor {
  readonly handler: (request: unknown, context: ServerContext) => unknown;
}

type LoadedMethods = ReadonlyMap<string, LoadedMethod>;

/** Bytes as they are: decoding waits for the messages' code. */
const bytesCodec: MessageCodec<Uint8Array> = {
  encode: (message) => ({ finish: () => message }),
  decode: (bytes) => bytes,
};

/** Adds `service` to `host`, without loading anything of it. */
export function addDeferredService<Service extends ServiceDefinition>(
  host: ServiceHost,
  { fullName, methods, load }: DeferredService<Service>,
): void {
  let loading: Promise<LoadedMethods> | undefined;
  const loaded = () => {
    loading ??= load().then(({ definition, handlers }) => loadedMethods(definition, handlers));
    return loading;
  };
  const definition: GenericServiceDefinition = {
    name: fullName.slice(fullName.lastIndexOf(".") + 1),
    fullName,
    methods: Object.fromEntries(Object.entries(methods).map(([name, kind]) => [keyOf(name), rawMethod(name, kind)])),
  };
  const handlers = Object.fromEntries(
    Object.entries(methods).map(([name, kind]) => [
      keyOf(name),
      kind.responseStream === true ? streamOf(name, kind, loaded) : singleOf(name, kind, loaded),
    ]),
  );
  // What each handler takes and gives follows from its method's kind, as `definition` says it.
  host.add(definition, handlers as ServiceHandlers<GenericServiceDefinition>);
}

function keyOf(name: string): string {
  return name.charAt(0).toLowerCase() + name.slice(1);
}

function rawMethod(name: string, { requestStream, responseStream }: MethodKind): GenericMethod {
  return {
    name,
    requestType: bytesCodec,
    requestStream: requestStream === true,
    responseType: bytesCodec,
    responseStream: responseStream === true,
  };
}

function loadedMethods<Service extends ServiceDefinition>(
  definition: Service,
  handlers: ServiceHandlers<Service>,
): LoadedMethods {
  const byName = handlers as Readonly<Record<string, LoadedMethod["handler"]>>;
  return new Map(methodsOf(definition).map((method) => [method.name, { ...method, handler: byName[method.name]! }]));
}

type RawRequest = Buffer | AsyncIterable<Buffer>;

function singleOf(name: string, kind: MethodKind, loaded: () => Promise<LoadedMethods>) {
  return async (request: RawRequest, context: ServerContext): Promise<Uint8Array> => {
    const method = (await loaded()).get(keyOf(name))!;
    return method.encodeResponse(await method.handler(readRequest(method, kind, request), context));
  };
}

function streamOf(name: string, kind: MethodKind, loaded: () => Promise<LoadedMethods>) {
  return async function* (request: RawRequest, context: ServerContext): AsyncGenerator<Uint8Array> {
    const method = (await loaded()).get(keyOf(name))!;
    const responses = method.handler(readRequest(method, kind, request), context) as AsyncIterable<unknown>;
    for await (const response of responses) yield method.encodeResponse(response);
  };
}

function readRequest(method: LoadedMethod, kind: MethodKind, request: RawRequest): unknown {
  return kind.requestStream === true
    ? decodeAll(method, request as AsyncIterable<Buffer>)
    : decode(method, request as Buffer);
}

async function* decodeAll(method: LoadedMethod, requests: AsyncIterable<Buffer>): AsyncGenerator<unknown> {
  for await (const request of requests) yield decode(method, request);
}

function decode(method: LoadedMethod, request: Buffer): unknown {
  try {
    return method.decodeRequest(request);
  } catch (cause) {
    throw new RpcError("INTERNAL", "the request message can't be decoded", { cause });
  }
}
