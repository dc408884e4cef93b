import { EventEmitter } from "node:events";
import { Duplex, type DuplexOptions } from "node:stream";
import {
  type Deadline,
  Metadata,
  type ServerErrorResponse,
  type ServerInterceptingCallInterface,
  type ServerUnaryCall,
  status,
} from "@grpc/grpc-js";
import type { ServerStatus } from "./server-base-call.ts";

type AuthContext = ReturnType<ServerInterceptingCallInterface["getAuthContext"]>;
type MetricsRecorder = ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]>;

/** What a unary handler is given. */
export class UnarySurfaceCall extends EventEmitter implements ServerUnaryCall<unknown, unknown> {
  readonly metadata: Metadata;
  request: unknown;
  cancelled = false;
  readonly #path: string;
  readonly #call: ServerInterceptingCallInterface;

  constructor(path: string, call: ServerInterceptingCallInterface, metadata: Metadata, request: unknown) {
    super();
    this.#path = path;
    this.#call = call;
    this.metadata = metadata;
    this.request = request;
  }

  getPeer(): string {
    return this.#call.getPeer();
  }

  sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata);
  }

  getDeadline(): Deadline {
    return this.#call.getDeadline();
  }

  getPath(): string {
    return this.#path;
  }

  getHost(): string {
    return this.#call.getHost();
  }

  getAuthContext(): AuthContext {
    return this.#call.getAuthContext();
  }

  getMetricsRecorder(): MetricsRecorder {
    return this.#call.getMetricsRecorder();
  }
}

/**
 * What a streaming handler of any kind is given. Readable where requests are a stream; writable always, since
 * `emit("error", …)` ends a client-streaming call as it does the others: with that status, after what was written before.
 */
export class StreamSurfaceCall extends Duplex {
  readonly metadata: Metadata;
  request: unknown;
  cancelled = false;
  readonly #path: string;
  readonly #call: ServerInterceptingCallInterface;
  #trailers: Metadata | undefined;
  #status: ServerStatus = { code: status.OK, details: "OK" };

  /** `request` is the message of a server-streaming call; `requestStream` says that there is none and messages are read. */
  constructor(
    path: string,
    call: ServerInterceptingCallInterface,
    metadata: Metadata,
    request: unknown,
    requestStream: boolean,
  ) {
    const options: DuplexOptions & { readonly readable: boolean } = { objectMode: true, readable: requestStream };
    super(options);
    this.metadata = metadata;
    this.request = request;
    this.#path = path;
    this.#call = call;
    this.on("error", (error: Error) => this.#fail(error));
  }

  /** `for await` over the requests leaves the call as it is: Node's own would destroy it, and what is still to be said with it. */
  override [Symbol.asyncIterator](): NodeJS.AsyncIterator<unknown> {
    return this.iterator({ destroyOnReturn: false });
  }

  override _read(): void {
    this.#call.startRead();
  }

  override _write(message: unknown, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#call.sendMessage(message, callback);
  }

  override _final(callback: (error?: Error | null) => void): void {
    callback();
    this.#sendStatus();
  }

  override end(trailers?: unknown): this {
    if (trailers instanceof Metadata) this.#trailers = trailers;
    return super.end();
  }

  #fail(error: Error): void {
    this.#status = statusOfError(error);
    // A destroyed stream never finishes; one that was only told of an error still sends what it holds.
    if (this.destroyed) this.#sendStatus();
    else this.end();
  }

  #sendStatus(): void {
    this.#call.sendStatus({ ...this.#status, metadata: this.#status.metadata ?? this.#trailers ?? null });
  }

  getPeer(): string {
    return this.#call.getPeer();
  }

  sendMetadata(metadata: Metadata): void {
    this.#call.sendMetadata(metadata);
  }

  getDeadline(): Deadline {
    return this.#call.getDeadline();
  }

  getPath(): string {
    return this.#path;
  }

  getHost(): string {
    return this.#call.getHost();
  }

  getAuthContext(): AuthContext {
    return this.#call.getAuthContext();
  }

  getMetricsRecorder(): MetricsRecorder {
    return this.#call.getMetricsRecorder();
  }
}

/** What handlers give as an error: a real one, or just a status. */
export type HandlerError = Partial<ServerErrorResponse>;

/** The status that a handler's error means, as grpc-js reads it: `code` and `details` where it has them, else UNKNOWN. */
export function statusOfError(error: HandlerError, trailers?: Metadata): ServerStatus {
  const metadata = trailers ?? error.metadata ?? null;
  const { code } = error;
  const message = error.message ?? "Unknown Error";
  if (typeof code !== "number" || !Number.isInteger(code)) return { code: status.UNKNOWN, details: message, metadata };
  return { code, details: typeof error.details === "string" ? error.details : message, metadata };
}
