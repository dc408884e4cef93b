import type {
  DescMessage,
  DescMethod,
  DescMethodStreaming,
  DescMethodUnary,
  DescService,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createContextValues,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type Transport,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { runStreamingCall, runUnaryCall } from "@connectrpc/connect/protocol";
import { Channel } from "../channel/channel.ts";
import type { ChannelOptions } from "../channel/channel-options.ts";
import { createClient } from "../channel/client.ts";
import type { CallOptions } from "../channel/client-types.ts";
import { connectErrorOf } from "./connect-error.ts";
import { addTo, metadataOf } from "./headers.ts";

/** Where a transport's calls go: to a target, by a channel of its own, or on a channel that its owner closes. */
export type WeftTransportOptions = CallDefaults & (({ readonly target: string } & ChannelOptions) | OnChannel);

interface OnChannel {
  readonly channel: Channel;
}

interface CallDefaults {
  /** Around every call; the last is the innermost. */
  readonly interceptors?: Interceptor[];
  /** For calls that bring no `timeoutMs`. Default: none. */
  readonly defaultTimeoutMs?: number;
}

/** A Transport for connect-es's clients. Disposing of it closes the channel that it made. */
export interface WeftTransport extends Transport, AsyncDisposable {}

/**
 * A transport that runs the calls of connect-es (version 2) clients by the gRPC protocol on this package's channel, with
 * its targets (`xds:///…` too), credentials and connections.
 *
 * ```ts
 * await using transport = createWeftTransport({ target: "xds:///greet.v1.Greeter" });
 * const client = createClient(Greeter, transport); // of @connectrpc/connect
 * ```
 *
 * Failures are ConnectErrors whose cause is the RpcError. Messages are always binary.
 */
export function createWeftTransport(options: WeftTransportOptions): WeftTransport {
  const { interceptors, defaultTimeoutMs } = options;
  const ours = "channel" in options ? undefined : new Channel(options.target, options);
  const channel = "channel" in options ? options.channel : ours!;
  const calls = new Calls(channel);
  // A time-out of 0 or less is none, as in connect-es's own transports.
  const limit = (timeoutMs = defaultTimeoutMs) => (timeoutMs !== undefined && timeoutMs > 0 ? { timeoutMs } : {});
  const common = (method: DescMethod, header: ConstructorParameters<typeof Headers>[0]) => ({
    service: method.parent,
    requestMethod: "POST",
    // For interceptors to read: how a connection is secured isn't known before there is one.
    url: `http://${channel.authority}/${method.parent.typeName}/${method.name}`,
    header: new Headers(header),
  });
  const around = interceptors === undefined ? {} : { interceptors };
  return {
    unary(method, signal, timeoutMs, header, message, contextValues = createContextValues()) {
      const time = limit(timeoutMs);
      return runUnaryCall({
        ...around,
        ...time,
        ...(signal === undefined ? {} : { signal }),
        req: { stream: false, method, message, contextValues, ...common(method as DescMethod, header) },
        next: (request) => calls.unary(request, time.timeoutMs),
      });
    },
    stream(method, signal, timeoutMs, header, message, contextValues = createContextValues()) {
      const time = limit(timeoutMs);
      return runStreamingCall({
        ...around,
        ...time,
        ...(signal === undefined ? {} : { signal }),
        req: { stream: true, method, message, contextValues, ...common(method as DescMethod, header) },
        next: (request) => calls.stream(request, time.timeoutMs),
      });
    },
    [Symbol.asyncDispose]: async () => ours?.close(),
  };
}

type UnaryFunction = (request: unknown, options: CallOptions) => Promise<unknown>;
type ServerStreamFunction = (request: unknown, options: CallOptions) => AsyncIterableIterator<unknown>;
type ClientStreamFunction = (requests: AsyncIterable<unknown>, options: CallOptions) => Promise<unknown>;
type BidiFunction = (requests: AsyncIterable<unknown>, options: CallOptions) => AsyncIterableIterator<unknown>;

/** Calls on one channel, by the promise client of each service. */
class Calls {
  readonly #channel: Channel;
  readonly #clients = new Map<DescService, Readonly<Record<string, unknown>>>();

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  async unary<I extends DescMessage, O extends DescMessage>(
    request: UnaryRequest<I, O>,
    timeoutMs: number | undefined,
  ): Promise<UnaryResponse<I, O>> {
    const { service, method } = request;
    const header = new Headers();
    const trailer = new Headers();
    const call = this.#function<UnaryFunction>(method);
    try {
      const message = await call(request.message, {
        metadata: metadataOf(request.header),
        timeoutMs,
        signal: request.signal,
        onHeaders: (headers) => addTo(header, headers),
        onTrailers: (trailers) => addTo(trailer, trailers),
      });
      return { stream: false, service, method, header, message: message as MessageShape<O>, trailer };
    } catch (error) {
      throw connectErrorOf(error, header);
    }
  }

  /** Resolves with the response headers, or fails with the error of a call that ended without them. */
  async stream<I extends DescMessage, O extends DescMessage>(
    request: StreamRequest<I, O>,
    timeoutMs: number | undefined,
  ): Promise<StreamResponse<I, O>> {
    const { service, method } = request;
    const header = new Headers();
    const trailer = new Headers();
    const opened = Promise.withResolvers<void>();
    let hasHeaders = false;
    const responses = await this.#start(request, {
      metadata: metadataOf(request.header),
      timeoutMs,
      signal: request.signal,
      onHeaders: (headers) => {
        hasHeaders = true;
        addTo(header, headers);
        opened.resolve();
      },
      onTrailers: (trailers) => addTo(trailer, trailers),
    });
    const first = responses.next();
    const open = () => opened.resolve();
    first.then(open, open);
    await opened.promise;
    if (!hasHeaders) await first.catch((error: unknown) => Promise.reject(connectErrorOf(error)));
    const message = messages(first, responses, header) as AsyncIterable<MessageShape<O>>;
    return { stream: true, service, method, header, message, trailer };
  }

  async #start(request: StreamRequest, options: CallOptions): Promise<AsyncIterator<unknown>> {
    const { method, message } = request;
    switch (method.methodKind) {
      case "server_streaming":
        return this.#function<ServerStreamFunction>(method)(await onlyOf(message), options);
      case "client_streaming":
        return single(this.#function<ClientStreamFunction>(method)(message, options));
      case "bidi_streaming":
        return this.#function<BidiFunction>(method)(message, options);
    }
  }

  #function<Call>(method: DescMethodUnary | DescMethodStreaming): Call {
    let client = this.#clients.get(method.parent);
    if (client === undefined) {
      client = createClient(method.parent, this.#channel) as unknown as Readonly<Record<string, unknown>>;
      this.#clients.set(method.parent, client);
    }
    return client[method.localName] as Call;
  }
}

async function* messages(
  first: Promise<IteratorResult<unknown>>,
  responses: AsyncIterator<unknown>,
  header: Headers,
): AsyncGenerator<unknown, void, void> {
  try {
    for (let next = await first; next.done !== true; next = await responses.next()) yield next.value;
  } catch (error) {
    throw connectErrorOf(error, header);
  } finally {
    await responses.return?.();
  }
}

async function* single(response: Promise<unknown>): AsyncGenerator<unknown, void, void> {
  yield await response;
}

async function onlyOf(requests: AsyncIterable<unknown>): Promise<unknown> {
  const all: unknown[] = [];
  for await (const request of requests) all.push(request);
  if (all.length === 1) return all[0];
  throw new ConnectError(`the method takes one request message, not ${all.length}`, Code.Unimplemented);
}
