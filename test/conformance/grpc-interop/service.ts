// The test service as ts-proto describes it, and the same as a grpc-js definition made by hand.
import { TestServiceDefinition, UnimplementedServiceDefinition } from "./gen/grpc/testing/test.ts";

/** A message type as ts-proto generates it. */
export interface Codec<Message> {
  encode(message: Message): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Message;
}

/** A method as the cases name it: what it takes, what it answers with. */
export interface TestMethod<Request, Response> {
  readonly path: string;
  readonly requestType: Codec<Request>;
  readonly requestStream: boolean;
  readonly responseType: Codec<Response>;
  readonly responseStream: boolean;
}

const { methods } = TestServiceDefinition;

function method<Request, Response>(
  definition: Omit<TestMethod<Request, Response>, "path"> & { readonly name: string },
  service = TestServiceDefinition.fullName as string,
): TestMethod<Request, Response> {
  const { requestType, requestStream, responseType, responseStream } = definition;
  return { path: `/${service}/${definition.name}`, requestType, requestStream, responseType, responseStream };
}

/** What the server serves. */
export const servedMethods = {
  emptyCall: method(methods.emptyCall),
  unaryCall: method(methods.unaryCall),
  cacheableUnaryCall: method(methods.cacheableUnaryCall),
  streamingOutputCall: method(methods.streamingOutputCall),
  streamingInputCall: method(methods.streamingInputCall),
  fullDuplexCall: method(methods.fullDuplexCall),
};

/** All that the cases call. */
export const testMethods = {
  ...servedMethods,
  unimplementedCall: method(methods.unimplementedCall),
  unknownServiceCall: method(
    UnimplementedServiceDefinition.methods.unimplementedCall,
    UnimplementedServiceDefinition.fullName,
  ),
};

/** A method in grpc-js's form. */
export function grpcJsMethod<Request, Response>(test: TestMethod<Request, Response>) {
  return {
    path: test.path,
    requestStream: test.requestStream,
    responseStream: test.responseStream,
    requestSerialize: (message: Request) => Buffer.from(test.requestType.encode(message).finish()),
    requestDeserialize: (bytes: Buffer) => test.requestType.decode(bytes),
    responseSerialize: (message: Response) => Buffer.from(test.responseType.encode(message).finish()),
    responseDeserialize: (bytes: Buffer) => test.responseType.decode(bytes),
  };
}

/** The served methods in ts-proto's form: a server must not know the one that none implements. */
export function servedDefinition() {
  const { unimplementedCall: _, ...served } = methods;
  return { name: TestServiceDefinition.name, fullName: TestServiceDefinition.fullName, methods: served };
}
