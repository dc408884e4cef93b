import { RpcError } from "../rpc/error.ts";
import type { ServerCall, ServerContext, ServerMethod } from "../rpc/server-call.ts";
import { type MethodDescriptor, methodsOf, type ServiceDefinition } from "../rpc/service-definition.ts";
import { Status } from "../rpc/status.ts";
import type { ServiceHandlers } from "./handlers.ts";
import { RequestStream } from "./request-stream.ts";

/** Told of each error a handler threw that is no RpcError. */
export type HandlerErrorListener = (error: unknown, path: string) => void;

/** A handler of any kind, as it is called. */
export type PromiseHandler = (request: unknown, context: ServerContext) => unknown;

/** What serves each method of `definition`, by path. Throws when `handlers` lack one. */
export function promiseMethods<Service extends ServiceDefinition>(
  definition: Service,
  handlers: ServiceHandlers<Service>,
  onHandlerError: HandlerErrorListener,
): Map<string, ServerMethod> {
  const byName = handlers as Readonly<Record<string, PromiseHandler | undefined>>;
  const served = new Map<string, ServerMethod>();
  for (const method of methodsOf(definition)) {
    const handler = byName[method.name];
    if (handler === undefined) throw new TypeError(`no handler named ${method.name} for ${method.path}`);
    served.set(method.path, promiseMethod(method, handler.bind(handlers), onHandlerError));
  }
  return served;
}

/** Serves `method` with an async function or async generator. */
export function promiseMethod(
  method: MethodDescriptor,
  handler: PromiseHandler,
  onHandlerError: HandlerErrorListener,
): ServerMethod {
  return method.requestStream || method.responseStream
    ? new StreamingMethod(method, handler, onHandlerError)
    : new UnaryMethod(method, handler, onHandlerError);
}

/** One request, one response: `call.state` is the request. The hot path: nothing per call beyond the call and the handler's promise. */
class UnaryMethod implements ServerMethod {
  readonly takesAtOnce = true;
  private readonly method: MethodDescriptor;
  private readonly handler: PromiseHandler;
  private readonly onHandlerError: HandlerErrorListener;

  constructor(method: MethodDescriptor, handler: PromiseHandler, onHandlerError: HandlerErrorListener) {
    this.method = method;
    this.handler = handler;
    this.onHandlerError = onHandlerError;
  }

  onStart(_call: ServerCall): void {
    // A unary handler runs once its request is complete.
  }

  onMessage(call: ServerCall, message: Buffer): void {
    takeOnlyRequest(call, message, this.method);
  }

  onHalfClose(call: ServerCall): void {
    if (call.messages === 0) {
      call.abandon(cardinalityError(call, "none came"));
      return;
    }
    void this.run(call);
  }

  onWritable(_call: ServerCall): void {
    // The single response is queued whole.
  }

  onCancel(_call: ServerCall): void {
    // The handler learns of it by `signal`.
  }

  private async run(call: ServerCall): Promise<void> {
    const request = call.state;
    call.state = undefined;
    let response: unknown;
    try {
      response = await this.handler(request, call);
    } catch (error) {
      return endWithError(call, error, this.onHandlerError);
    }
    sendOnlyResponse(call, response, this.method, this.onHandlerError);
  }
}

/** The other three kinds: `call.state` is the StreamingState. */
class StreamingMethod implements ServerMethod {
  readonly takesAtOnce: boolean;
  private readonly method: MethodDescriptor;
  private readonly handler: PromiseHandler;
  private readonly onHandlerError: HandlerErrorListener;

  constructor(method: MethodDescriptor, handler: PromiseHandler, onHandlerError: HandlerErrorListener) {
    this.takesAtOnce = !method.requestStream;
    this.method = method;
    this.handler = handler;
    this.onHandlerError = onHandlerError;
  }

  onStart(call: ServerCall): void {
    if (!this.method.requestStream) return;
    const requests = new RequestStream(call, this.method.decodeRequest);
    void this.run(call, requests, requests);
  }

  onMessage(call: ServerCall, message: Buffer): void {
    if (this.method.requestStream) stateOf(call).requests?.push(message);
    else takeOnlyRequest(call, message, this.method);
  }

  onHalfClose(call: ServerCall): void {
    if (this.method.requestStream) {
      stateOf(call).requests?.end();
      return;
    }
    if (call.messages === 0) {
      call.abandon(cardinalityError(call, "none came"));
      return;
    }
    void this.run(call, call.state, undefined);
  }

  onWritable(call: ServerCall): void {
    stateOf(call).wake();
  }

  onCancel(call: ServerCall): void {
    if (call.state instanceof StreamingState) call.state.cancel(call.cancellation);
  }

  private async run(call: ServerCall, request: unknown, requests: RequestStream | undefined): Promise<void> {
    const state = new StreamingState(requests);
    call.state = state;
    try {
      if (this.method.responseStream) {
        await this.sendAll(call, state, this.handler(request, call) as AsyncIterable<unknown>);
      } else {
        const response = await this.handler(request, call);
        sendOnlyResponse(call, response, this.method, this.onHandlerError);
      }
    } catch (error) {
      endWithError(call, error, this.onHandlerError);
    } finally {
      requests?.abandon();
    }
  }

  private async sendAll(call: ServerCall, state: StreamingState, responses: AsyncIterable<unknown>): Promise<void> {
    const iterator = responses[Symbol.asyncIterator]();
    state.responses = iterator;
    for (;;) {
      const next = await iterator.next();
      if (next.done === true) break;
      if (!call.isOver && !call.sendMessage(this.method.encodeResponse(next.value))) await state.writable();
      if (call.isOver) {
        await iterator.return?.();
        return;
      }
    }
    state.responses = undefined;
    call.sendStatus(Status.OK, "");
  }
}

/** What a streaming call remembers. */
class StreamingState {
  readonly requests: RequestStream | undefined;
  /** The handler's generator while it runs: closed when the call is cancelled, so that its `finally` blocks run. */
  responses: AsyncIterator<unknown> | undefined = undefined;
  private waiting: (() => void) | undefined = undefined;

  constructor(requests: RequestStream | undefined) {
    this.requests = requests;
  }

  /** Resolves when more may be written, or the call is over. */
  writable(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting = resolve;
    });
  }

  wake(): void {
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }

  cancel(reason: RpcError | undefined): void {
    this.requests?.fail(reason ?? new RpcError("CANCELLED", "the call is over"));
    this.wake();
    // A generator that waits inside gets it when that ends; its outcome is of no interest to a call that is over.
    this.responses?.return?.().catch(ignore);
  }
}

function stateOf(call: ServerCall): StreamingState {
  return call.state as StreamingState;
}

function ignore(): void {
  // The call has its status already.
}

function takeOnlyRequest(call: ServerCall, message: Buffer, method: MethodDescriptor): void {
  if (call.messages > 1) {
    call.abandon(cardinalityError(call, "several came"));
    return;
  }
  try {
    call.state = method.decodeRequest(message);
  } catch (cause) {
    call.abandon(new RpcError("INTERNAL", "the request message can't be decoded", { cause }));
  }
}

/** gRPC's status table: a wrong number of requests is UNIMPLEMENTED. */
function cardinalityError(call: ServerCall, found: string): RpcError {
  return new RpcError("UNIMPLEMENTED", `${call.path} takes one request message, ${found}`);
}

function sendOnlyResponse(
  call: ServerCall,
  response: unknown,
  method: MethodDescriptor,
  onHandlerError: HandlerErrorListener,
): void {
  let bytes: Uint8Array;
  try {
    bytes = method.encodeResponse(response);
  } catch (error) {
    onHandlerError(error, call.path);
    call.sendStatus(Status.INTERNAL, "the response message can't be encoded");
    return;
  }
  call.sendMessage(bytes);
  call.sendStatus(Status.OK, "");
}

function endWithError(call: ServerCall, error: unknown, onHandlerError: HandlerErrorListener): void {
  if (error instanceof RpcError) {
    call.sendError(error);
    return;
  }
  // What a handler throws after its call was cancelled is most often the cancellation itself.
  if (call.cancellation !== undefined) return;
  onHandlerError(error, call.path);
  // Its message may hold what a caller must not see (paths, queries, secrets).
  call.sendStatus(Status.UNKNOWN, "the handler failed");
}
