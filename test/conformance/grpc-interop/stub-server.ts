import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type * as grpc from "@grpc/grpc-js";
import type {
  EchoStatus,
  SimpleRequest,
  SimpleResponse,
  StreamingInputCallRequest,
  StreamingInputCallResponse,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "./gen/grpc/testing/messages.ts";
import { payload } from "./messages.ts";
import { grpcJsMethod, servedMethods, type TestMethod } from "./service.ts";
import type { GrpcModule } from "./stub-client.ts";

const initialKey = "x-grpc-test-echo-initial";
const trailingKey = "x-grpc-test-echo-trailing-bin";

type OutputStream = grpc.ServerWritableStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;
type DuplexStream = grpc.ServerDuplexStream<StreamingOutputCallRequest, StreamingOutputCallResponse>;

/** The test service with grpc-js's handlers, on the server of `module`; listening on a free loopback port. */
export async function startStubServer(
  module: GrpcModule,
  certificateFile: string | undefined,
  keyFile: string | undefined,
): Promise<{ readonly port: number; close(): void }> {
  const server = new module.Server();
  const serverId = randomUUID();
  const definition = Object.fromEntries(
    Object.entries(servedMethods).map(([name, method]) => [
      name,
      grpcJsMethod(method as unknown as TestMethod<unknown, unknown>),
    ]),
  );
  const respond = (request: SimpleRequest, body = payload(request.responseSize)): SimpleResponse => ({
    payload: body,
    username: "",
    oauthScope: "",
    serverId: request.fillServerId ? serverId : "",
    hostname: "",
  });
  server.addService(definition, {
    emptyCall: (_call: unknown, callback: grpc.sendUnaryData<object>) => callback(null, {}),
    unaryCall(call: grpc.ServerUnaryCall<SimpleRequest, SimpleResponse>, callback: grpc.sendUnaryData<SimpleResponse>) {
      const trailers = echoMetadata(module, call);
      const error = toldError(call.request.responseStatus);
      if (error === undefined) callback(null, respond(call.request), trailers);
      else callback(error);
    },
    cacheableUnaryCall(
      call: grpc.ServerUnaryCall<SimpleRequest, SimpleResponse>,
      callback: grpc.sendUnaryData<SimpleResponse>,
    ) {
      callback(null, respond(call.request, { type: 0, body: Buffer.from(`${process.hrtime.bigint()}`) }));
    },
    streamingOutputCall(call: OutputStream) {
      answer(call, call.request);
      call.end();
    },
    streamingInputCall(
      call: grpc.ServerReadableStream<StreamingInputCallRequest, StreamingInputCallResponse>,
      callback: grpc.sendUnaryData<StreamingInputCallResponse>,
    ) {
      let aggregatedPayloadSize = 0;
      call.on("data", (request: StreamingInputCallRequest) => {
        aggregatedPayloadSize += request.payload?.body.length ?? 0;
      });
      call.on("end", () => callback(null, { aggregatedPayloadSize }));
    },
    fullDuplexCall(call: DuplexStream) {
      const trailers = echoMetadata(module, call);
      call.on("data", (request: StreamingOutputCallRequest) => {
        const error = toldError(request.responseStatus);
        if (error === undefined) answer(call, request);
        else call.emit("error", error);
      });
      call.on("end", () => call.end(trailers));
    },
  });
  const credentials =
    certificateFile === undefined || keyFile === undefined
      ? module.ServerCredentials.createInsecure()
      : module.ServerCredentials.createSsl(null, [
          { cert_chain: readFileSync(certificateFile), private_key: readFileSync(keyFile) },
        ]);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { port, close: () => server.forceShutdown() };
}

/** No case asks for pauses between responses. */
function answer(call: OutputStream | DuplexStream, request: StreamingOutputCallRequest): void {
  for (const { size } of request.responseParameters) call.write({ payload: payload(size) });
}

function echoMetadata(
  module: GrpcModule,
  call: Pick<grpc.ServerUnaryCall<unknown, unknown>, "metadata" | "sendMetadata">,
): grpc.Metadata {
  const headers = new module.Metadata();
  const trailers = new module.Metadata();
  const [initial] = call.metadata.get(initialKey);
  const [trailing] = call.metadata.get(trailingKey);
  if (initial !== undefined) {
    headers.set(initialKey, initial);
    call.sendMetadata(headers);
  }
  if (trailing !== undefined) trailers.set(trailingKey, trailing);
  return trailers;
}

function toldError(status: EchoStatus | undefined): { readonly code: number; readonly details: string } | undefined {
  return status === undefined || status.code === 0 ? undefined : { code: status.code, details: status.message };
}
