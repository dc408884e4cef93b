// The promise client under the suite, from protobuf-es's description of the service.
import { type CallOptions, createClient, RpcError } from "@weft/grpc";
import { type Client, channelOptionsOf, runCalls } from "./client-program.ts";
import { detailsHeader, detailsOf, headersOf, metadataOf, onlyOf } from "./headers.ts";
import { conformanceService } from "./messages.ts";

type AnyFunction = (request: unknown, options: CallOptions) => AsyncIterable<never> | Promise<never>;

await runCalls((destination) => {
  const client = createClient(conformanceService, destination.address, channelOptionsOf(destination));
  return {
    async *responses(call) {
      const { methodKind } = conformanceService.method[call.method];
      const takesOne = methodKind === "unary" || methodKind === "server_streaming";
      const request = takesOne ? await onlyOf(call.requests) : call.requests;
      const invoke = client[call.method] as unknown as AnyFunction;
      const reply = invoke(request, {
        metadata: metadataOf(call.headers),
        timeoutMs: call.timeoutMs,
        signal: call.signal,
        onHeaders: (headers) => call.onHeaders(headersOf(headers)),
        onTrailers: (trailers) => call.onTrailers(headersOf(trailers)),
      });
      if (Symbol.asyncIterator in reply) yield* reply;
      else yield await reply;
    },
    errorOf(reason) {
      const { status, details, metadata } = RpcError.from(reason);
      return { code: status, message: details, details: detailsOf(metadata?.get(detailsHeader)) };
    },
  } satisfies Client;
});
