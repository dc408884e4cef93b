// Connect-ES's client on this package's transport under the suite.
import { create } from "@bufbuild/protobuf";
import { type CallOptions, ConnectError, createClient } from "@connectrpc/connect";
import { createWeftTransport } from "@weft/grpc/connect";
import { type Client, channelOptionsOf, runCalls } from "./client-program.ts";
import { onlyOf } from "./headers.ts";
import { conformanceService, type Header, headerSchema } from "./messages.ts";

type AnyFunction = (request: unknown, options: CallOptions) => AsyncIterable<never> | Promise<never>;

await runCalls((destination) => {
  const transport = createWeftTransport({ target: destination.address, ...channelOptionsOf(destination) });
  const client = createClient(conformanceService, transport);
  return {
    async *responses(call) {
      const { methodKind } = conformanceService.method[call.method];
      const takesOne = methodKind === "unary" || methodKind === "server_streaming";
      const request = takesOne ? await onlyOf(call.requests) : call.requests;
      const invoke = client[call.method] as unknown as AnyFunction;
      const reply = invoke(request, {
        headers: fetchHeaders(call.headers),
        signal: call.signal,
        onHeader: (headers) => call.onHeaders(suiteHeaders(headers)),
        onTrailer: (trailers) => call.onTrailers(suiteHeaders(trailers)),
        ...(call.timeoutMs === undefined ? {} : { timeoutMs: call.timeoutMs }),
      });
      try {
        if (Symbol.asyncIterator in reply) yield* reply;
        else yield await reply;
      } catch (reason) {
        // Connect-ES tells of the headers and trailers of a failed call only together, as the error's metadata.
        const metadata = suiteHeaders(ConnectError.from(reason).metadata);
        call.onHeaders(metadata);
        call.onTrailers(metadata);
        throw reason;
      }
    },
    errorOf(reason) {
      const { code, rawMessage, details } = ConnectError.from(reason);
      return {
        code,
        message: rawMessage,
        details: details.flatMap((detail) => ("type" in detail ? [anyOf(detail)] : [])),
      };
    },
  } satisfies Client;
});

function anyOf({ type, value }: { type: string; value: Uint8Array }): { typeUrl: string; value: Uint8Array } {
  return { typeUrl: `type.googleapis.com/${type}`, value };
}

function fetchHeaders(headers: readonly Header[]): Headers {
  const result = new Headers();
  for (const { name, value: values } of headers) for (const value of values) result.append(name, value);
  return result;
}

function suiteHeaders(headers: Headers): Header[] {
  return [...headers].map(([name, value]) => create(headerSchema, { name, value: value.split(", ") }));
}
