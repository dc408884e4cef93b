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

/** What a client or a server is made from. */
export type ServiceDefinition = GenericServiceDefinition | GrpcJsServiceDefinition;

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
  if (!isGeneric(definition)) return Object.entries(definition).map(([key, method]) => grpcJsMethod(key, method));
  return Object.entries(definition.methods).map(([key, method]) => genericMethod(definition.fullName, key, method));
}

/** The full name of the service, `package.Service`; undefined for a definition without methods and name. */
export function serviceNameOf(definition: ServiceDefinition): string | undefined {
  if (isGeneric(definition)) return definition.fullName;
  const [method] = Object.values(definition);
  return method?.path.split("/")[1];
}

function isGeneric(definition: ServiceDefinition): definition is GenericServiceDefinition {
  return typeof definition["fullName"] === "string";
}

function genericMethod(service: string, key: string, method: GenericMethod): MethodDescriptor {
  const { requestType, responseType } = method;
  return {
    name: key,
    path: `/${service}/${method.name}`,
    requestStream: method.requestStream,
    responseStream: method.responseStream,
    encodeRequest: (message) => requestType.encode(message).finish(),
    decodeRequest: (bytes) => requestType.decode(bytes),
    encodeResponse: (message) => responseType.encode(message).finish(),
    decodeResponse: (bytes) => responseType.decode(bytes),
  };
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
