import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { createServer, Metadata, RpcError, type Server, type ServerContext, Status, type StatusName } from "@weft/grpc";
import type {
  BoolValue,
  EchoStatus,
  StreamingOutputCallRequest,
  StreamingOutputCallResponse,
} from "./gen/grpc/testing/messages.ts";
import { payload } from "./messages.ts";
import { servedDefinition } from "./service.ts";
import { serverCredentials } from "./tls-files.ts";

const initialKey = "x-grpc-test-echo-initial";
const trailingKey = "x-grpc-test-echo-trailing-bin";

/** The test service on the promise server, not listening yet. */
export function createPromiseServer(certificateFile: string | undefined, keyFile: string | undefined): Server {
  const server = createServer(serverCredentials(certificateFile, keyFile));
  const serverId = randomUUID();
  server.add(servedDefinition(), {
    emptyCall: () => ({}),
    unaryCall(request, context) {
      refuseUnexpected(request.expectCompressed, context);
      if (request.responseCompressed?.value === true) context.setCompression("gzip");
      echoMetadata(context);
      failAsTold(request.responseStatus);
      return {
        payload: payload(request.responseSize),
        username: "",
        oauthScope: "",
        serverId: request.fillServerId ? serverId : "",
        hostname: "",
      };
    },
    cacheableUnaryCall(_request, context) {
      context.sendHeaders(new Metadata({ "cache-control": "max-age=60, public" }));
      const body = Buffer.from(`${process.hrtime.bigint()}`);
      return { payload: { type: 0, body }, username: "", oauthScope: "", serverId, hostname: "" };
    },
    streamingOutputCall: (request, context) => responsesTo(request, context),
    async streamingInputCall(requests, context) {
      let aggregatedPayloadSize = 0;
      for await (const request of requests) {
        refuseUnexpected(request.expectCompressed, context);
        aggregatedPayloadSize += request.payload?.body.length ?? 0;
      }
      return { aggregatedPayloadSize };
    },
    async *fullDuplexCall(requests, context) {
      echoMetadata(context);
      for await (const request of requests) {
        failAsTold(request.responseStatus);
        yield* responsesTo(request, context);
      }
    },
  });
  return server;
}

async function* responsesTo(
  request: StreamingOutputCallRequest,
  context: ServerContext,
): AsyncGenerator<StreamingOutputCallResponse, void, void> {
  for (const { size, intervalUs, compressed } of request.responseParameters) {
    if (intervalUs > 0) await delay(intervalUs / 1000, undefined, { signal: context.signal });
    if (compressed !== undefined) context.setCompression(compressed.value ? "gzip" : "identity");
    yield { payload: payload(size) };
  }
}

/** A request that was announced as compressed and isn't, or the other way round. */
function refuseUnexpected(expected: BoolValue | undefined, { isRequestCompressed }: ServerContext): void {
  if (expected === undefined || expected.value === isRequestCompressed) return;
  throw new RpcError("INVALID_ARGUMENT", `the request is ${isRequestCompressed ? "" : "not "}compressed`);
}

function echoMetadata(context: ServerContext): void {
  const { metadata, trailers } = context;
  const initial = metadata.get(initialKey);
  if (initial !== undefined) context.sendHeaders(new Metadata({ [initialKey]: initial }));
  const trailing = metadata.get(trailingKey);
  if (trailing !== undefined) trailers.set(trailingKey, trailing);
}

function failAsTold(status: EchoStatus | undefined): void {
  if (status === undefined || status.code === 0) return;
  throw new RpcError(nameOfStatus(status.code), status.message);
}

function nameOfStatus(code: number): StatusName {
  const entry = Object.entries(Status).find(([, number]) => number === code);
  if (entry === undefined) throw new RpcError("INVALID_ARGUMENT", `there is no status ${code}`);
  return entry[0] as StatusName;
}
