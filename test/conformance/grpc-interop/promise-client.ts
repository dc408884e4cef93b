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
    start: (name, settings) => converse(name, functions[name], settings),
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

function firstValues(metadata: Metadata): ReceivedMetadata {
  return new Map([...metadata.entries()].reverse());
}
