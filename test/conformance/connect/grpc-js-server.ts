// The grpc-js facade's server under the suite: handlers as an application of grpc-js has them.
import { once } from "node:events";
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@weft/grpc/grpc-js";
import { conformanceDefinition } from "./grpc-js-definition.ts";
import { detailsHeader, entriesOf, headersOf, pairsOf, statusBytes } from "./headers.ts";
import type { BidiStreamRequest, ClientStreamRequest, Header, ServerStreamRequest, UnaryRequest } from "./messages.ts";
import { type Settings, serve } from "./server-program.ts";
import {
  answerBidiStream,
  answerClientStream,
  answerServerStream,
  answerUnary,
  type Caller,
  Failure,
  type Response,
} from "./service.ts";

type Call =
  | ServerUnaryCall<UnaryRequest, Response>
  | ServerReadableStream<ClientStreamRequest, Response>
  | ServerWritableStream<ServerStreamRequest, Response>
  | ServerDuplexStream<BidiStreamRequest, Response>;

/** What goes with the status, besides what grpc-js takes as an error. */
interface Ending {
  trailers: Metadata;
}

const unary: handleUnaryCall<UnaryRequest, Response> = (call, callback) => {
  const ending = { trailers: new Metadata() };
  answerUnary(call.request, callerOf(call, ending)).then(
    (response) => callback(null, response, ending.trailers),
    (reason: unknown) => callback(errorOf(reason, ending)),
  );
};

const clientStream: handleClientStreamingCall<ClientStreamRequest, Response> = (call, callback) => {
  const ending = { trailers: new Metadata() };
  answerClientStream(call, callerOf(call, ending)).then(
    (response) => callback(null, response, ending.trailers),
    (reason: unknown) => callback(errorOf(reason, ending)),
  );
};

const serverStream: handleServerStreamingCall<ServerStreamRequest, Response> = (call) => {
  const ending = { trailers: new Metadata() };
  void writeAll(call, answerServerStream(call.request, callerOf(call, ending)), ending);
};

const bidiStream: handleBidiStreamingCall<BidiStreamRequest, Response> = (call) => {
  const ending = { trailers: new Metadata() };
  void writeAll(call, answerBidiStream(call, callerOf(call, ending)), ending);
};

const unimplemented: handleUnaryCall<object, object> = (_call, callback) => {
  callback({ code: status.UNIMPLEMENTED, details: "not served, on purpose" });
};

await serve(async (settings) => {
  const { maxReceiveMessageBytes: limit } = settings;
  const server = new Server(limit === undefined ? {} : { "grpc.max_receive_message_length": limit });
  server.addService(conformanceDefinition, { unary, clientStream, serverStream, bidiStream, unimplemented });
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentialsOf(settings), (error, port) => {
      if (error === null) resolve(port);
      else reject(error);
    });
  });
});

function credentialsOf({ tls, clientRootsPem }: Settings): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const pair = { private_key: Buffer.from(tls.privateKeyPem), cert_chain: Buffer.from(tls.certificateChainPem) };
  const roots = clientRootsPem === undefined ? null : Buffer.from(clientRootsPem);
  return ServerCredentials.createSsl(roots, [pair], roots !== null);
}

function callerOf(call: Call, ending: Ending): Caller {
  const deadline = call.getDeadline();
  return {
    requestHeaders: headersOf(pairsOf(call.metadata)),
    timeoutMs: Number.isFinite(+deadline) ? +deadline - Date.now() : undefined,
    sendHeaders: (headers) => call.sendMetadata(metadataOf(headers)),
    setTrailers: (trailers) => {
      ending.trailers = metadataOf(trailers);
    },
  };
}

async function writeAll(
  call: ServerWritableStream<ServerStreamRequest, Response> | ServerDuplexStream<BidiStreamRequest, Response>,
  responses: AsyncIterable<Response>,
  ending: Ending,
): Promise<void> {
  try {
    for await (const response of responses) {
      if (call.cancelled) return;
      if (!call.write(response)) await once(call, "drain");
    }
    call.end(ending.trailers);
  } catch (reason) {
    call.emit("error", errorOf(reason, ending));
  }
}

function errorOf(reason: unknown, { trailers }: Ending): { code: status; details: string; metadata: Metadata } {
  if (!(reason instanceof Failure)) return { code: status.UNKNOWN, details: String(reason), metadata: trailers };
  const { error } = reason;
  if (error.details.length > 0) trailers.set(detailsHeader, Buffer.from(statusBytes(error)));
  return { code: error.code, details: error.message ?? "", metadata: trailers };
}

function metadataOf(headers: readonly Header[]): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of entriesOf(headers)) metadata.add(name, value);
  return metadata;
}
