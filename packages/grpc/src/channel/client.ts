import { type MethodDescriptor, methodsOf, type ServiceDefinition } from "../rpc/service-definition.ts";
import { encodeRequest } from "./call-error.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import type { CallOptions, Client } from "./client-types.ts";
import { RequestPump } from "./request-pump.ts";
import { ResponseStream } from "./response-stream.ts";
import { UnaryReply } from "./unary-reply.ts";

/**
 * A client of the service that `definition` describes, at `target` (or on a channel that its owner closes).
 *
 * ```ts
 * await using client = createClient(EchoTestServiceDefinition, "localhost:7070");
 * const reply = await client.echo({ message: "hello" }, { timeoutMs: 1000 });
 * ```
 *
 * Failures are RpcErrors. Disposing of a client that made its channel closes that.
 */
export function createClient<Service extends ServiceDefinition>(
  definition: Service,
  target: string | Channel,
  options?: ChannelOptions,
): Client<Service> {
  const channel = typeof target === "string" ? new Channel(target, options) : target;
  const client: Record<PropertyKey, unknown> = {
    [Symbol.asyncDispose]: () => (channel === target ? Promise.resolve() : channel.close()),
  };
  for (const method of methodsOf(definition)) client[method.name] = functionFor(channel, method);
  return client as unknown as Client<Service>;
}

type ClientMethod = (request: unknown, options?: CallOptions) => unknown;

function functionFor(channel: Channel, method: MethodDescriptor): ClientMethod {
  if (method.requestStream) {
    return method.responseStream ? bidirectional(channel, method) : clientStreaming(channel, method);
  }
  return method.responseStream ? serverStreaming(channel, method) : unary(channel, method);
}

function unary(channel: Channel, method: MethodDescriptor): ClientMethod {
  const head = channel.callHead(method.path);
  return (request, options) => {
    let body: Uint8Array;
    try {
      body = encodeRequest(method, request);
    } catch (error) {
      return Promise.reject(error);
    }
    // An executor of its own would be a closure per call.
    const promise = new Promise<unknown>(captureSettlers);
    const reply = new UnaryReply(method, options, capturedResolve, capturedReject);
    reply.call = channel.startCall(head, options, reply, body);
    return promise;
  };
}

function clientStreaming(channel: Channel, method: MethodDescriptor): ClientMethod {
  const head = channel.callHead(method.path);
  return (requests, options) => {
    const promise = new Promise<unknown>(captureSettlers);
    const reply = new UnaryReply(method, options, capturedResolve, capturedReject);
    reply.call = channel.startCall(head, options, reply, undefined);
    reply.pump = new RequestPump(reply.call, requests as Requests, (message) => encodeRequest(method, message));
    return promise;
  };
}

function serverStreaming(channel: Channel, method: MethodDescriptor): ClientMethod {
  const head = channel.callHead(method.path);
  return (request, options) => {
    const stream = new ResponseStream(method, options);
    try {
      stream.call = channel.startCall(head, options, stream, encodeRequest(method, request));
    } catch (error) {
      stream.refuse(error);
    }
    return stream;
  };
}

function bidirectional(channel: Channel, method: MethodDescriptor): ClientMethod {
  const head = channel.callHead(method.path);
  return (requests, options) => {
    const stream = new ResponseStream(method, options);
    stream.call = channel.startCall(head, options, stream, undefined);
    stream.pump = new RequestPump(stream.call, requests as Requests, (message) => encodeRequest(method, message));
    return stream;
  };
}

type Requests = AsyncIterable<unknown> | Iterable<unknown>;

let capturedResolve: (value: unknown) => void;
let capturedReject: (error: unknown) => void;

function captureSettlers(resolve: (value: unknown) => void, reject: (error: unknown) => void): void {
  capturedResolve = resolve;
  capturedReject = reject;
}
