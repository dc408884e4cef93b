// The suite's messages and its service, typed as protoc-gen-es would; their descriptors are read from its own .proto files.
import { readFileSync } from "node:fs";
import {
  createFileRegistry,
  type DescMessage,
  type DescService,
  type FileRegistry,
  fromBinary,
  type Message,
} from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import { type Any, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { descriptorSet } from "./suite.ts";

const scope = "connectrpc.conformance.v1";
type Named<Name extends string> = Message<`${typeof scope}.${Name}`>;

export type Header = Named<"Header"> & { name: string; value: string[] };
export type SuiteError = Named<"Error"> & { code: number; message?: string; details: Any[] };
export type RequestInfo = Named<"ConformancePayload.RequestInfo"> & {
  requestHeaders: Header[];
  timeoutMs?: bigint;
  requests: Any[];
};
export type Payload = Named<"ConformancePayload"> & { data: Uint8Array; requestInfo?: RequestInfo };

/** What a method with one response is to answer. */
export type SingleDefinition = Named<"UnaryResponseDefinition"> & {
  responseHeaders: Header[];
  response:
    | { case: "responseData"; value: Uint8Array }
    | { case: "error"; value: SuiteError }
    | { case: undefined; value?: undefined };
  responseTrailers: Header[];
  responseDelayMs: number;
};

/** What a method with a stream of responses is to answer. */
export type StreamDefinition = Named<"StreamResponseDefinition"> & {
  responseHeaders: Header[];
  responseData: Uint8Array[];
  responseDelayMs: number;
  error?: SuiteError;
  responseTrailers: Header[];
};

type SingleRequest<Name extends string> = Named<Name> & { responseDefinition?: SingleDefinition };
type StreamRequest<Name extends string> = Named<Name> & { responseDefinition?: StreamDefinition };
export type UnaryRequest = SingleRequest<"UnaryRequest">;
export type ClientStreamRequest = SingleRequest<"ClientStreamRequest">;
export type ServerStreamRequest = StreamRequest<"ServerStreamRequest">;
export type BidiStreamRequest = StreamRequest<"BidiStreamRequest"> & { fullDuplex: boolean };

/** A response of any method; those of `Unimplemented` carry no payload. */
export type PayloadResponse<Name extends string = string> = Named<Name> & { payload?: Payload };

type Unary<I extends DescMessage, O extends DescMessage> = { methodKind: "unary"; input: I; output: O };

/** `connectrpc.conformance.v1.ConformanceService` without the method that only Connect's own protocol has. */
export type ConformanceService = GenService<{
  unary: Unary<GenMessage<UnaryRequest>, GenMessage<PayloadResponse<"UnaryResponse">>>;
  serverStream: {
    methodKind: "server_streaming";
    input: GenMessage<ServerStreamRequest>;
    output: GenMessage<PayloadResponse<"ServerStreamResponse">>;
  };
  clientStream: {
    methodKind: "client_streaming";
    input: GenMessage<ClientStreamRequest>;
    output: GenMessage<PayloadResponse<"ClientStreamResponse">>;
  };
  bidiStream: {
    methodKind: "bidi_streaming";
    input: GenMessage<BidiStreamRequest>;
    output: GenMessage<PayloadResponse<"BidiStreamResponse">>;
  };
  unimplemented: Unary<GenMessage<Named<"UnimplementedRequest">>, GenMessage<Named<"UnimplementedResponse">>>;
}>;

export type ServerCompatRequest = Named<"ServerCompatRequest"> & {
  useTls: boolean;
  clientTlsCert: Uint8Array;
  messageReceiveLimit: number;
  serverCreds?: TlsCreds;
};
export type ServerCompatResponse = Named<"ServerCompatResponse"> & { host: string; port: number; pemCert: Uint8Array };
export type TlsCreds = Named<"TLSCreds"> & { cert: Uint8Array; key: Uint8Array };

export type ClientCompatRequest = Named<"ClientCompatRequest"> & {
  testName: string;
  compression: number;
  host: string;
  port: number;
  serverTlsCert: Uint8Array;
  clientTlsCreds?: TlsCreds;
  messageReceiveLimit: number;
  service?: string;
  method?: string;
  streamType: number;
  requestHeaders: Header[];
  requestMessages: Any[];
  timeoutMs?: number;
  requestDelayMs: number;
  cancel?: Cancel;
};
export type Cancel = Named<"ClientCompatRequest.Cancel"> & {
  cancelTiming:
    | { case: "beforeCloseSend"; value: Message }
    | { case: "afterCloseSendMs"; value: number }
    | { case: "afterNumResponses"; value: number }
    | { case: undefined; value?: undefined };
};
export type ClientResponseResult = Named<"ClientResponseResult"> & {
  responseHeaders: Header[];
  payloads: Payload[];
  error?: SuiteError;
  responseTrailers: Header[];
};
export type ClientCompatResponse = Named<"ClientCompatResponse"> & {
  testName: string;
  result:
    | { case: "response"; value: ClientResponseResult }
    | { case: "error"; value: Named<"ClientErrorResult"> & { message: string } }
    | { case: undefined; value?: undefined };
};

/** `Compression` and `StreamType` of the suite, as far as this package has to tell them apart. */
export const gzipCompression = 2;
export const fullDuplexBidi = 5;

/** All of the suite's messages. */
export const registry: FileRegistry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet)),
);

function schema<Type extends Message>(name: string): GenMessage<Type> {
  const found = registry.getMessage(`${scope}.${name}`);
  if (found === undefined) throw new Error(`the suite has no message ${name}`);
  return found as unknown as GenMessage<Type>;
}

export const headerSchema: GenMessage<Header> = schema("Header");
export const errorSchema: GenMessage<SuiteError> = schema("Error");
export const payloadSchema: GenMessage<Payload> = schema("ConformancePayload");
export const requestInfoSchema: GenMessage<RequestInfo> = schema("ConformancePayload.RequestInfo");
export const serverCompatRequestSchema: GenMessage<ServerCompatRequest> = schema("ServerCompatRequest");
export const serverCompatResponseSchema: GenMessage<ServerCompatResponse> = schema("ServerCompatResponse");
export const clientCompatRequestSchema: GenMessage<ClientCompatRequest> = schema("ClientCompatRequest");
export const clientCompatResponseSchema: GenMessage<ClientCompatResponse> = schema("ClientCompatResponse");

/** The service that the suite calls, and that its calls are for. */
export const conformanceService: ConformanceService = wholeService() as unknown as ConformanceService;

/** The service without what only Connect's own protocol has (`IdempotentUnary`): whoever serves it owes every method. */
function wholeService(): DescService {
  const found = registry.getService(`${scope}.ConformanceService`);
  if (found === undefined) throw new Error("the suite has no ConformanceService");
  const { idempotentUnary, ...method } = found.method;
  return { ...found, methods: found.methods.filter((each) => each !== idempotentUnary), method };
}
