import type { EventEmitter } from "node:events";
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  type ServerMethodDefinition,
  status,
} from "@grpc/grpc-js";
import type { ServerCall, ServerMethod } from "../rpc/server-call.ts";
import { ServerBaseCall } from "./server-base-call.ts";
import { type HandlerError, StreamSurfaceCall, statusOfError, UnarySurfaceCall } from "./server-surface.ts";
import { mayCompress } from "./write-flags.ts";

/** The kinds of handlers by grpc-js's names. */
export type HandlerType = "unary" | "clientStream" | "serverStream" | "bidi";

/** Any of grpc-js's four handler functions. */
export type HandlerFunction =
  | handleUnaryCall<unknown, unknown>
  | handleClientStreamingCall<unknown, unknown>
  | handleServerStreamingCall<unknown, unknown>
  | handleBidiStreamingCall<unknown, unknown>;

/** A handler as `register` takes it. */
export interface RegisteredHandler {
  readonly path: string;
  readonly type: HandlerType;
  readonly handler: HandlerFunction;
  readonly serialize: (message: unknown) => Buffer;
  readonly deserialize: (bytes: Buffer) => unknown;
}

/** Serves calls of one method with an unchanged grpc-js handler, through grpc-js's server interceptors; `call.state` is its ServerBaseCall. */
export class SurfaceMethod implements ServerMethod {
  readonly takesAtOnce = false;
  readonly #registered: RegisteredHandler;
  readonly #interceptors: readonly ServerInterceptor[];
  readonly #reportsMetrics: boolean;
  readonly #definition: ServerMethodDefinition<unknown, unknown>;

  /** `interceptors`: the last is the outermost, as in grpc-js. */
  constructor(registered: RegisteredHandler, interceptors: readonly ServerInterceptor[], reportsMetrics: boolean) {
    this.#registered = registered;
    this.#interceptors = interceptors;
    this.#reportsMetrics = reportsMetrics;
    const { path, type, serialize, deserialize } = registered;
    this.#definition = {
      path,
      requestStream: type === "clientStream" || type === "bidi",
      responseStream: type === "serverStream" || type === "bidi",
      responseSerialize: serialize,
      requestDeserialize: deserialize,
    };
  }

  onStart(call: ServerCall): void {
    const base = new ServerBaseCall(call, this.#registered, this.#reportsMetrics);
    call.state = base;
    let outermost: ServerInterceptingCallInterface = base;
    for (const intercept of this.#interceptors) outermost = intercept(this.#definition, outermost);
    if (this.#definition.requestStream) startStreaming(outermost, base, this.#registered);
    else startSingle(outermost, base, this.#registered);
  }

  onMessage(call: ServerCall, message: Buffer): void {
    baseOf(call).onMessage(message);
  }

  onHalfClose(call: ServerCall): void {
    baseOf(call).onHalfClose();
  }

  onWritable(call: ServerCall): void {
    baseOf(call).onWritable();
  }

  onCancel(call: ServerCall): void {
    baseOf(call).onCancel();
  }
}

function baseOf(call: ServerCall): ServerBaseCall {
  return call.state as ServerBaseCall;
}

/** Unary and server streaming: the handler runs when its one request and the half close are here. */
function startSingle(call: ServerInterceptingCallInterface, base: ServerBaseCall, registered: RegisteredHandler): void {
  const { path, type } = registered;
  let metadata = new Metadata();
  let request: unknown;
  let requests = 0;
  let surface: UnarySurfaceCall | StreamSurfaceCall | undefined;
  call.start({
    onReceiveMetadata(received) {
      metadata = received;
      call.startRead();
    },
    onReceiveMessage(message) {
      requests++;
      request = message;
      if (requests === 1) call.startRead();
      else call.sendStatus({ code: status.UNIMPLEMENTED, details: `Received a second request message for ${path}` });
    },
    onReceiveHalfClose() {
      if (requests === 0) {
        call.sendStatus({ code: status.UNIMPLEMENTED, details: `Received no request message for ${path}` });
        return;
      }
      surface =
        type === "unary"
          ? new UnarySurfaceCall(path, call, metadata, request)
          : new StreamSurfaceCall(path, call, metadata, request, false);
      runHandler(call, base, registered, surface);
    },
    onCancel() {
      if (surface !== undefined) tellCancelled(surface);
    },
  });
}

/** Client and bidirectional streaming: the handler runs at once and reads. */
function startStreaming(
  call: ServerInterceptingCallInterface,
  base: ServerBaseCall,
  registered: RegisteredHandler,
): void {
  let surface: StreamSurfaceCall | undefined;
  call.start({
    onReceiveMetadata(metadata) {
      surface = new StreamSurfaceCall(registered.path, call, metadata, undefined, true);
      runHandler(call, base, registered, surface);
    },
    onReceiveMessage(message) {
      surface?.push(message);
    },
    onReceiveHalfClose() {
      surface?.push(null);
    },
    onCancel() {
      if (surface !== undefined) tellCancelled(surface);
    },
  });
}

function runHandler(
  call: ServerInterceptingCallInterface,
  base: ServerBaseCall,
  { type, handler }: RegisteredHandler,
  surface: UnarySurfaceCall | StreamSurfaceCall,
): void {
  // The four handler types take four call types, of which ours are the common implementation.
  const run = handler as unknown as (surface: unknown, respond?: Respond) => void;
  try {
    if (type === "unary" || type === "clientStream") run(surface, responder(call, base));
    else run(surface);
  } catch {
    call.sendStatus({ code: status.UNKNOWN, details: "Unknown error" });
  }
}

type Respond = (error: HandlerError | null, value?: unknown, trailers?: Metadata, flags?: number) => void;

function responder(call: ServerInterceptingCallInterface, base: ServerBaseCall): Respond {
  return (error, value, trailers, flags) => {
    if (error) {
      call.sendStatus(statusOfError(error, trailers));
      return;
    }
    if (!mayCompress(flags)) base.exemptNextMessage();
    call.sendMessage(value, () => {
      call.sendStatus({ code: status.OK, details: "OK", metadata: trailers ?? null });
    });
  };
}

function tellCancelled(surface: UnarySurfaceCall | StreamSurfaceCall): void {
  surface.cancelled = true;
  const emitter: EventEmitter = surface;
  emitter.emit("cancelled", "cancelled");
  if (surface instanceof StreamSurfaceCall) surface.destroy();
}
