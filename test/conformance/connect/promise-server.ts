// The promise server under the suite, from protobuf-es's description of the service.
import {
  createServer,
  Metadata,
  RpcError,
  type ServerContext,
  Status,
  type StatusName,
  tlsServerCredentials,
} from "@weft/grpc";
import { detailsHeader, headersOf, metadataOf, statusBytes } from "./headers.ts";
import { conformanceService } from "./messages.ts";
import { serve } from "./server-program.ts";
import {
  answerBidiStream,
  answerClientStream,
  answerServerStream,
  answerUnary,
  type Caller,
  Failure,
} from "./service.ts";

await serve(async ({ tls, clientRootsPem, maxReceiveMessageBytes }) => {
  const server = createServer({
    compression: "gzip",
    ...(tls === undefined
      ? {}
      : {
          credentials: tlsServerCredentials({
            keyPair: tls,
            ...(clientRootsPem === undefined ? {} : { clientRootsPem }),
          }),
        }),
    ...(maxReceiveMessageBytes === undefined ? {} : { maxReceiveMessageBytes }),
  });
  server.add(conformanceService, {
    unary: (request, context) => failing(answerUnary(request, callerOf(context))),
    clientStream: (requests, context) => failing(answerClientStream(requests, callerOf(context))),
    serverStream: (request, context) => failingStream(answerServerStream(request, callerOf(context))),
    bidiStream: (requests, context) => failingStream(answerBidiStream(requests, callerOf(context))),
    unimplemented: () => {
      throw new RpcError("UNIMPLEMENTED", "not served, on purpose");
    },
  });
  return (await server.listen("127.0.0.1:0")).port;
});

function callerOf(context: ServerContext): Caller {
  const { deadline } = context;
  return {
    requestHeaders: headersOf(context.metadata),
    timeoutMs: deadline === undefined ? undefined : deadline.getTime() - Date.now(),
    sendHeaders: (headers) => context.sendHeaders(metadataOf(headers)),
    setTrailers: (trailers) => context.trailers.merge(metadataOf(trailers)),
  };
}

async function failing<Response>(response: Promise<Response>): Promise<Response> {
  try {
    return await response;
  } catch (reason) {
    throw rpcError(reason);
  }
}

async function* failingStream<Response>(responses: AsyncIterable<Response>): AsyncGenerator<Response> {
  try {
    yield* responses;
  } catch (reason) {
    throw rpcError(reason);
  }
}

function rpcError(reason: unknown): unknown {
  if (!(reason instanceof Failure)) return reason;
  const { error } = reason;
  const name = Object.keys(Status)[error.code] as StatusName;
  const metadata = new Metadata(error.details.length === 0 ? {} : { [detailsHeader]: statusBytes(error) });
  return new RpcError(name, error.message ?? "", { metadata });
}
