import { type CallOptions, Channel, createClient, Metadata, RpcError } from "@weft/grpc";
import {
  type CallSettings,
  type ExchangeOf,
  type InteropClient,
  Mailbox,
  type MethodName,
  type Outcome,
  type ReceivedMetadata,
} from "./exchange.ts";
import type { StreamingInputCallResponse } from "./gen/grpc/testing/messages.ts";
import { TestServiceDefinition, UnimplementedServiceDefinition } from "./gen/grpc/testing/test.ts";
import type { ServerAddress } from "./server-address.ts";
import { testMethods } from "./service.ts";
import { channelCredentials } from "./tls-files.ts";

type AnyFunction = (request: unknown, options: CallOptions) => AsyncIterable<unknown> | Promise<unknown>;

/** The promise client. */
export function connectPromiseClient(server: ServerAddress): InteropClient {
  const channel = new Channel(`127.0.0.1:${server.port}`, channelCredentials(server.caFile));
  const functions = {
    ...createClient(TestServiceDefinition, channel),
    unknownServiceCall: createClient(UnimplementedServiceDefinition, channel).unimplementedCall,
  } as unknown as Readonly<Record<MethodName, AnyFunction>>;
  return {
    start: (name, settings) =>
      name === "streamingInputCall" && settings?.compress === true
        ? (converseBelow(channel) as ExchangeOf<typeof name>)
        : converse(name, functions[name], settings),
    close: () => channel.close(),
  };
}

function converse<Name extends MethodName>(
  name: Name,
  call: AnyFunction,
  settings: CallSettings = {},
): ExchangeOf<Name> {
  const { requestStream, responseStream } = testMethods[name];
  const requests = new Mailbox<unknown>();
  const responses = new Mailbox<unknown>();
  const abort = new AbortController();
  let headers: ReceivedMetadata = new Map();
  let trailers: ReceivedMetadata = new Map();
  const options: CallOptions = {
    ...(settings.metadata === undefined ? {} : { metadata: new Metadata(settings.metadata) }),
    timeoutMs: settings.timeoutMs,
    signal: abort.signal,
    ...(settings.compress === true ? { compression: "gzip" } : {}),
    onHeaders: (received) => {
      headers = firstValues(received);
    },
    onTrailers: (received) => {
      trailers = firstValues(received);
    },
  };
  async function run(): Promise<Outcome> {
    try {
      const answer = call(requestStream ? requests : await requests.take(), options);
      if (responseStream) for await (const response of answer as AsyncIterable<unknown>) responses.put(response);
      else responses.put(await answer);
      return { code: 0, details: "", headers, trailers };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      return { code: error.status, details: error.details, headers, trailers };
    } finally {
      responses.close();
    }
  }
  return {
    send: (message: unknown) => requests.put(message),
    halfClose: () => requests.close(),
    receive: () => responses.take(),
    cancel: () => abort.abort(),
    outcome: run(),
  } as unknown as ExchangeOf<Name>;
}

/**
 * A compressed client stream, some of whose messages are exempt: the promise functions take plain iterables of requests, so
 * this is the call below them.
 */
function converseBelow(channel: Channel): ExchangeOf<"streamingInputCall"> {
  const { path, requestType, responseType } = testMethods.streamingInputCall;
  const responses = new Mailbox<StreamingInputCallResponse>();
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
  let headers: ReceivedMetadata = new Map();
  const call = channel.startCall(
    channel.callHead(path),
    { compression: "gzip" },
    {
      onHeaders: (received) => {
        headers = firstValues(Metadata.received(received));
      },
      onMessage: (bytes) => responses.put(responseType.decode(bytes)),
      onWritable: () => undefined,
      onStatus(code, details, trailers) {
        responses.close();
        resolve({ code, details, headers, trailers: firstValues(Metadata.received(trailers)) });
      },
    },
    undefined,
  );
  return {
    send: (message, compress) => void call.sendMessage(requestType.encode(message).finish(), compress),
    halfClose: () => call.halfClose(),
    receive: () => responses.take(),
    cancel: () => call.cancel("CANCELLED", "cancelled"),
    outcome,
  };
}

function firstValues(metadata: Metadata): ReceivedMetadata {
  return new Map([...metadata.entries()].reverse());
}
