import type { Deadline, Metadata, ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { Metadata as WireMetadata } from "../rpc/metadata.ts";
import type { ServerCall } from "../rpc/server-call.ts";
import { Status } from "../rpc/status.ts";
import { CallMetrics, metricsTrailer } from "./call-metrics.ts";
import { grpcJsMetadata, wireMetadata } from "./wire-metadata.ts";

/** Hears of the requests of one call; what grpc-js calls an InterceptingServerListener. */
export type ServerCallListener = Parameters<ServerInterceptingCallInterface["start"]>[0];
/** How a grpc-js server ends a call. */
export type ServerStatus = Parameters<ServerInterceptingCallInterface["sendStatus"]>[0];

/** How messages of a method become bytes and back. */
export interface MessageFormat {
  serialize(message: unknown): Buffer;
  deserialize(bytes: Buffer): unknown;
}

/**
 * The innermost ServerInterceptingCallInterface: a ServerCall as grpc-js's interceptors and surface calls see it.
 *
 * Requests are pulled: one `startRead`, one message or the half close. What waits holds back the caller's window.
 */
export class ServerBaseCall implements ServerInterceptingCallInterface {
  readonly #call: ServerCall;
  readonly #format: MessageFormat;
  readonly #reportsMetrics: boolean;
  readonly #messages: Buffer[] = [];
  #listener: ServerCallListener | undefined;
  #readsPending = false;
  #halfClosed = false;
  #halfCloseTold = false;
  #headersSent = false;
  #compressesNext = true;
  #afterWrite: (() => void) | undefined;
  #metrics: CallMetrics | undefined;

  /** `reportsMetrics`: what the handler records goes out with the status. */
  constructor(call: ServerCall, format: MessageFormat, reportsMetrics: boolean) {
    this.#call = call;
    this.#format = format;
    this.#reportsMetrics = reportsMetrics;
  }

  start(listener: ServerCallListener): void {
    this.#listener = listener;
    listener.onReceiveMetadata(grpcJsMetadata(this.#call.headers));
  }

  startRead(): void {
    this.#readsPending = true;
    this.#deliver();
  }

  sendMetadata(metadata: Metadata): void {
    if (this.#headersSent || this.#call.isOver) return;
    this.#headersSent = true;
    this.#call.sendHeaders(wireMetadata(metadata));
  }

  sendMessage(message: unknown, callback: () => void): void {
    if (this.#call.isOver) return;
    let bytes: Buffer;
    try {
      bytes = this.#format.serialize(message);
    } catch {
      this.sendStatus({ code: Status.INTERNAL, details: "Error serializing response" });
      return;
    }
    this.#headersSent = true;
    if (this.#call.sendMessage(bytes, this.#compressesNext)) callback();
    else this.#afterWrite = callback;
  }

  /** The next message goes out as it is: a handler said `NoCompress`. */
  exemptNextMessage(): void {
    this.#compressesNext = false;
  }

  sendStatus(status: ServerStatus): void {
    const { code, metadata } = status;
    this.#call.sendStatus(
      Number.isInteger(code) && code >= Status.OK && code <= Status.UNAUTHENTICATED ? code : Status.UNKNOWN,
      code === Status.OK ? "" : status.details,
      this.#trailers(metadata ?? undefined),
    );
    this.#messages.length = 0;
  }

  getPeer(): string {
    return this.#call.peer.address;
  }

  getDeadline(): Deadline {
    return this.#call.deadline ?? Number.POSITIVE_INFINITY;
  }

  getHost(): string {
    return this.#call.authority;
  }

  getAuthContext(): ReturnType<ServerInterceptingCallInterface["getAuthContext"]> {
    const { isSecure, certificate } = this.#call.peer;
    if (!isSecure) return {};
    if (certificate === undefined) return { transportSecurityType: "ssl" };
    return { transportSecurityType: "ssl", sslPeerCertificate: certificate.toLegacyObject() };
  }

  getConnectionInfo(): ReturnType<ServerInterceptingCallInterface["getConnectionInfo"]> {
    const { address, localAddress } = this.#call.peer;
    const [remote, local] = [hostAndPort(address), hostAndPort(localAddress)];
    return { localAddress: local.host, localPort: local.port, remoteAddress: remote.host, remotePort: remote.port };
  }

  getMetricsRecorder(): ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]> {
    this.#metrics ??= new CallMetrics();
    // It is that class to the caller: what differs is a private field.
    return this.#metrics as unknown as ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]>;
  }

  // What the method hears of the call.

  onMessage(message: Buffer): void {
    this.#messages.push(message);
    this.#deliver();
  }

  onHalfClose(): void {
    this.#halfClosed = true;
    this.#deliver();
  }

  onWritable(): void {
    const callback = this.#afterWrite;
    this.#afterWrite = undefined;
    callback?.();
  }

  onCancel(): void {
    this.#messages.length = 0;
    // Listeners are the application's: what they throw must not reach the connection that carries other calls.
    process.nextTick(() => this.#listener?.onCancel());
  }

  #trailers(metadata: Metadata | undefined): WireMetadata | undefined {
    let trailers = metadata === undefined ? undefined : wireMetadata(metadata);
    if (this.#metrics === undefined || !this.#reportsMetrics) return trailers;
    trailers ??= new WireMetadata();
    trailers.set(metricsTrailer, this.#metrics.serialize());
    return trailers;
  }

  #deliver(): void {
    if (!this.#readsPending || this.#call.isOver || this.#listener === undefined) return;
    const message = this.#messages.shift();
    if (message !== undefined) {
      this.#readsPending = false;
      this.#call.release(message);
      this.#deliverMessage(message);
    } else if (this.#halfClosed && !this.#halfCloseTold) {
      this.#readsPending = false;
      this.#halfCloseTold = true;
      this.#listener.onReceiveHalfClose();
    }
  }

  #deliverMessage(bytes: Buffer): void {
    let message: unknown;
    try {
      message = this.#format.deserialize(bytes);
    } catch {
      this.sendStatus({ code: Status.INTERNAL, details: "Error deserializing request" });
      this.onCancel();
      return;
    }
    this.#listener?.onReceiveMessage(message);
  }
}

function hostAndPort(address: string): { host: string | undefined; port: number | undefined } {
  if (address === "unix:") return { host: undefined, port: undefined };
  const colon = address.lastIndexOf(":");
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(address.slice(colon + 1)) };
}
