import type { X509Certificate } from "node:crypto";
import type { Http2Connection } from "../http2/connection.ts";
import type { Http2Error } from "../http2/error.ts";
import type { HeaderList, HeaderTemplate } from "../http2/headers.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { ConnectionCounts } from "./call-counts.ts";
import {
  acceptsEncoding,
  Compressor,
  type CompressorSink,
  Decompressor,
  type DecompressorSink,
  type MessageEncoding,
  parseEncoding,
} from "./compression.ts";
import { type DeadlineEntry, deadlines } from "./deadline-wheel.ts";
import { RpcError } from "./error.ts";
import { MessageReader, type MessageSink, messagePrefix, prefixBytes, wholeMessage } from "./message-framing.ts";
import { Metadata } from "./metadata.ts";
import { headerValue, isGrpcContentType } from "./response.ts";
import {
  compressedHead,
  methodNotAllowed,
  responseHead,
  statusOnly,
  statusTrailers,
  unsupportedMediaType,
} from "./response-heads.ts";
import { Status } from "./status.ts";
import { encodeStatusMessage } from "./status-message.ts";
import { parseTimeout } from "./timeout.ts";

// Over 300 lines: one state machine on the hot path, whose state is the call itself.
//
// The server's half of one gRPC call, directly on an HTTP/2 stream (gRPC over HTTP/2, "Responses").
//
//   http2 ── onStream ──▶ ServerCall ── onMessage, onHalfClose ──▶ ServerMethod (one per method, not per call)
//   http2 ◀── headers, data, trailers ── ServerCall ◀── sendHeaders, sendMessage, sendStatus ── ServerMethod

/** Who is at the other end of a connection, as established by the transport; never by what the peer says in metadata. */
export interface CallPeer {
  /** `host:port`, `[v6]:port`, or `unix:` for a unix socket. */
  readonly address: string;
  /** This side of the connection, spelled likewise. */
  readonly localAddress: string;
  /** Whether the connection is TLS. */
  readonly isSecure: boolean;
  /** The SPIFFE id of a verified client certificate. */
  readonly identity: SpiffeId | undefined;
  /** The verified client certificate. */
  readonly certificate: X509Certificate | undefined;
}

/** What a handler knows about its call, and the two things it may say besides its messages: headers and trailers. */
export interface ServerContext {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** What the caller dialled: the request's `:authority`. */
  readonly authority: string;
  /** Request metadata without the protocol's own headers. */
  readonly metadata: Metadata;
  /** Trailing metadata, sent with the status. */
  readonly trailers: Metadata;
  readonly deadline: Date | undefined;
  /** Aborts when the caller cancels, the deadline passes or the connection is lost; never after the status was sent. */
  readonly signal: AbortSignal;
  readonly peer: CallPeer;
  /** Whether the request message that was taken last came compressed. */
  readonly isRequestCompressed: boolean;
  /**
   * How the messages from now on are compressed: before the headers are out any encoding, then that one or `identity`,
   * message by message. A caller that doesn't read it gets them as they are. Default: the server's `compression`.
   */
  setCompression(encoding: MessageEncoding): void;
  /** Sends response headers now, before the first message. Throws when they are already out. */
  sendHeaders(metadata: Metadata): void;
}

/**
 * What serves the calls of one method: shared by all of them, so what belongs to one call is kept in `call.state`.
 *
 * Order: `onStart`, then each `onMessage`, then `onHalfClose`; after `onCancel` nothing. What a method throws here is a
 * defect of ours, never the application's.
 */
export interface ServerMethod {
  /** Whether request bytes go back to the peer's window at once; otherwise the method calls `release` as messages are taken. */
  readonly takesAtOnce: boolean;
  onStart(call: ServerCall): void;
  /** One request message; the bytes are the method's own. */
  onMessage(call: ServerCall, message: Buffer): void;
  onHalfClose(call: ServerCall): void;
  /** After `sendMessage` returned false: more is welcome. */
  onWritable(call: ServerCall): void;
  /** The call is over without a status from the method: caller gone, deadline passed, or the request was malformed. */
  onCancel(call: ServerCall): void;
}

/** What the calls of one connection share. */
export interface ServerCallHost {
  readonly connection: Http2Connection;
  readonly peer: CallPeer;
  readonly maxReceiveMessageBytes: number;
  readonly maxSendMessageBytes: number;
  /** How responses are compressed where their callers read it and their handlers don't say. */
  readonly compression: MessageEncoding;
  readonly counts: ConnectionCounts;
  methodFor(path: string): ServerMethod | undefined;
}

const nothing: HeaderList = [];
const unlimited = 0;
/** The longest `grpc-message` in characters: a status must fit into any peer's header list limit. */
const longestDetails = 4096;

/** An end that waits for messages that are still being compressed. */
interface Ending {
  readonly head: HeaderTemplate;
  readonly rest: HeaderList;
}

/** One call on the server: http2's stream handler, the deadline's entry and the handler's context in a single object. */
export class ServerCall
  implements StreamHandler, ServerContext, DeadlineEntry, MessageSink, DecompressorSink, CompressorSink
{
  /** The method's memory of this call. */
  state: unknown = undefined;
  /** How many request messages came. */
  messages = 0;
  path = "";
  authority = "";
  deadlineAt = unlimited;
  wheelNext: DeadlineEntry["wheelNext"] = undefined;
  wheelPrevious: DeadlineEntry["wheelPrevious"] = undefined;
  private readonly host: ServerCallHost;
  private readonly stream: Http2Stream;
  /** The request's headers as received. */
  readonly headers: HeaderList;
  /** Made when a message comes in pieces, or may be compressed. */
  private reader: MessageReader | undefined = undefined;
  private decompressor: Decompressor | undefined = undefined;
  /** Messages that came compressed and wait to be taken. */
  private compressedRequests: Set<Uint8Array> | undefined = undefined;
  private compressor: Compressor | undefined = undefined;
  private encoding: MessageEncoding | undefined = undefined;
  /** The caller is done; the method hears of it after the last message is decompressed. */
  private halfCloseWaits = false;
  private ending: Ending | undefined = undefined;
  /** What the last write of a compressed message said. */
  private isWritable = true;
  isRequestCompressed = false;
  private method: ServerMethod | undefined = undefined;
  private headersSent = false;
  private halfClosed = false;
  /** No more to say: the status is out, or can't be sent. */
  private over = false;
  /** Request bytes that aren't given back to the peer's window yet. */
  private held = 0;
  /** Whole messages among them that the method hasn't taken. */
  private waiting = 0;
  private cancelReason: RpcError | undefined = undefined;
  private controller: AbortController | undefined = undefined;
  private requestMetadata: Metadata | undefined = undefined;
  private responseTrailers: Metadata | undefined = undefined;

  constructor(host: ServerCallHost, stream: Http2Stream, headers: HeaderList) {
    this.host = host;
    this.stream = stream;
    this.headers = headers;
  }

  get metadata(): Metadata {
    this.requestMetadata ??= Metadata.received(this.headers);
    return this.requestMetadata;
  }

  get trailers(): Metadata {
    this.responseTrailers ??= new Metadata();
    return this.responseTrailers;
  }

  get deadline(): Date | undefined {
    return this.deadlineAt === unlimited ? undefined : new Date(Date.now() + this.deadlineAt - deadlines.now());
  }

  get peer(): CallPeer {
    return this.host.peer;
  }

  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.cancelReason !== undefined) this.controller.abort(this.cancelReason);
    }
    return this.controller.signal;
  }

  /** Whether nothing more can be sent: the status is out, or the call was cancelled. */
  get isOver(): boolean {
    return this.over;
  }

  /** Why the call ended without a status from its method. */
  get cancellation(): RpcError | undefined {
    return this.cancelReason;
  }

  /** Reads the request's head and starts its method, or answers why not. Called once, by the connection. */
  begin(endStream: boolean): void {
    const { headers } = this;
    this.host.counts.onStarted();
    let verb = "";
    let contentType = "";
    let timeout: string | undefined;
    let encoding: string | undefined;
    for (let index = 0; index < headers.length; index += 2) {
      const value = headers[index + 1]!;
      switch (headers[index]) {
        case ":path":
          this.path = value;
          break;
        case ":method":
          verb = value;
          break;
        case ":authority":
          this.authority = value;
          break;
        case "content-type":
          contentType = value;
          break;
        case "grpc-timeout":
          timeout = value;
          break;
        case "grpc-encoding":
          encoding = value;
          break;
      }
    }
    this.halfClosed = endStream;
    if (verb !== "POST") {
      this.refuseHttp(methodNotAllowed);
      return;
    }
    if (!isGrpcContentType(contentType)) {
      this.refuseHttp(unsupportedMediaType);
      return;
    }
    const method = this.host.methodFor(this.path);
    if (method === undefined) {
      this.sendStatus(Status.UNIMPLEMENTED, `no method ${this.path} here`);
      return;
    }
    if (encoding !== undefined && encoding !== "identity" && !this.startDecompression(encoding)) return;
    if (timeout !== undefined && !this.startDeadline(timeout)) return;
    this.method = method;
    method.onStart(this);
    if (endStream && !this.over) method.onHalfClose(this);
  }

  sendHeaders(metadata: Metadata): void {
    if (this.headersSent) throw new Error(`the response headers of ${this.path} are already sent`);
    if (this.over) return;
    const headers: string[] = [];
    metadata.appendTo(headers);
    this.sendHeaderList(headers);
  }

  setCompression(encoding: MessageEncoding): void {
    if (this.over) return;
    if (this.headersSent && encoding !== "identity" && encoding !== this.compressor?.encoding) {
      // What the caller doesn't read was answered by leaving it out; asking again changes nothing.
      if (!this.accepts(encoding)) return;
      throw new Error(`the response headers of ${this.path} are already sent, without encoding ${encoding}`);
    }
    this.encoding = encoding;
  }

  /** Sends one response message; false asks to wait for `onWritable`. What comes after the end is dropped. */
  sendMessage(message: Uint8Array, compress = true): boolean {
    if (this.over) return true;
    const { length } = message;
    if (length > this.host.maxSendMessageBytes) {
      const limit = this.host.maxSendMessageBytes;
      this.abandon(
        new RpcError(
          "RESOURCE_EXHAUSTED",
          `message of ${length} bytes to be sent is larger than the limit of ${limit}`,
        ),
      );
      return true;
    }
    this.host.counts.onSent();
    if (!this.headersSent) this.sendHeaderList(nothing);
    if (this.compressor !== undefined) return this.sendCompressed(this.compressor, message, compress);
    return this.host.connection.write(this.stream, messagePrefix(length), message, false);
  }

  /** Ends the call. Only the first status counts. `trailers` defaults to `context.trailers`. */
  sendStatus(status: number, details: string, trailers?: Metadata): void {
    if (this.over) return;
    const rest = trailerList(details, this.responseTrailers, trailers);
    this.host.counts.onEnded(status);
    this.finish(this.headersSent ? statusTrailers(status) : statusOnly(status), rest);
  }

  /** Ends the call with an error's status; its metadata joins the trailers. */
  sendError(error: RpcError): void {
    this.sendStatus(error.status, error.details, error.metadata);
  }

  /** The method took `message` from its queue: its bytes go back to the peer's window. Not for methods that take at once. */
  release(message: Uint8Array): void {
    if (this.over) return;
    this.waiting--;
    if (this.decompressor === undefined) {
      this.giveBack(this.waiting === 0 ? this.held : message.length + prefixBytes);
      return;
    }
    this.isRequestCompressed = this.compressedRequests?.delete(message) === true;
    if (this.waiting > 0) return;
    this.decompressor.resume();
    // What was held may wait again, decompressed or not.
    if (this.waiting === 0 && !this.decompressor.isBusy) this.giveBack(this.held);
  }

  onHeaders(_headers: HeaderList, endStream: boolean): void {
    // Request trailers mean nothing in gRPC; what counts is the end.
    if (endStream) this.endRequest();
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.held += end - start;
    if (!this.over) this.read(chunk, start, end);
    // With no whole message waiting, the rest of a begun one must be let in, or it would never be whole.
    if ((this.waiting === 0 && this.decompressor?.isBusy !== true) || this.over) this.giveBack(this.held);
    if (endStream) this.endRequest();
  }

  onMessage(message: Buffer, wasCompressed = false): void {
    const method = this.method!;
    this.messages++;
    this.host.counts.onReceived();
    if (method.takesAtOnce) this.isRequestCompressed = wasCompressed;
    else {
      this.waiting++;
      if (wasCompressed) this.holdDecompression(message);
    }
    method.onMessage(this, message);
  }

  onDecompressed(): void {
    if (this.over) return;
    if (this.waiting === 0) this.giveBack(this.held);
    if (!this.halfCloseWaits) return;
    this.halfCloseWaits = false;
    this.method!.onHalfClose(this);
  }

  onCompressed(message: Uint8Array, isCompressed: boolean): void {
    const prefix = messagePrefix(message.length, isCompressed);
    this.isWritable = this.host.connection.write(this.stream, prefix, message, false);
  }

  onAllCompressed(): void {
    if (this.ending !== undefined) this.sendEnding(this.ending.head, this.ending.rest);
    else if (this.isWritable && !this.over) this.method?.onWritable(this);
  }

  onUnreadable(error: RpcError): void {
    this.abandon(error);
  }

  onWritable(): void {
    this.isWritable = true;
    if (!this.over && this.compressor?.isBusy !== true) this.method?.onWritable(this);
  }

  onDeadline(): void {
    this.abandon(new RpcError("DEADLINE_EXCEEDED", "deadline exceeded"));
  }

  onClose(error: Http2Error | undefined): void {
    this.compressor?.stop();
    if (this.over) return;
    this.over = true;
    this.reader?.stop();
    this.host.counts.onEnded(Status.CANCELLED);
    this.host.counts.broken++;
    deadlines.remove(this);
    this.cancel(new RpcError("CANCELLED", "the caller went away", error === undefined ? undefined : { cause: error }));
  }

  /** Ends the call from this side while its method still runs. */
  abandon(error: RpcError): void {
    if (this.over) return;
    this.compressor?.stop();
    this.sendError(error);
    this.cancel(error);
  }

  private read(chunk: Uint8Array, start: number, end: number): void {
    const { maxReceiveMessageBytes } = this.host;
    if (this.reader === undefined) {
      const message = wholeMessage(chunk, start, end, maxReceiveMessageBytes);
      if (message !== undefined) {
        this.onMessage(message);
        return;
      }
      if (start === end) return;
      this.reader = new MessageReader(this, maxReceiveMessageBytes, this.host.connection.receiveWindowBytes);
    }
    this.reader.push(chunk, start, end);
  }

  private endRequest(): void {
    if (this.halfClosed) return;
    this.halfClosed = true;
    if (this.over || this.method === undefined) return;
    if (this.reader?.isInMessage === true) {
      this.abandon(new RpcError("INTERNAL", "the request ended within a message"));
      return;
    }
    this.halfCloseWaits = this.decompressor?.isBusy === true;
    if (!this.halfCloseWaits) this.method.onHalfClose(this);
  }

  private cancel(reason: RpcError): void {
    this.cancelReason = reason;
    this.controller?.abort(reason);
    this.method?.onCancel(this);
  }

  private startDeadline(timeout: string): boolean {
    const timeoutMs = parseTimeout(timeout);
    if (timeoutMs === undefined) {
      this.sendStatus(Status.INTERNAL, `malformed grpc-timeout ${JSON.stringify(timeout.slice(0, 20))}`);
      return false;
    }
    this.deadlineAt = deadlines.now() + timeoutMs;
    deadlines.add(this);
    return true;
  }

  private sendHeaderList(headers: HeaderList): void {
    this.headersSent = true;
    const encoding = this.encoding ?? this.host.compression;
    let head = responseHead;
    if (encoding !== "identity" && this.accepts(encoding)) {
      this.compressor = new Compressor(encoding, this);
      this.encoding = encoding;
      head = compressedHead(encoding);
    }
    this.host.connection.sendHeaders(this.stream, head, headers, false);
  }

  private sendCompressed(compressor: Compressor, message: Uint8Array, compress: boolean): boolean {
    compressor.push(message, compress && this.encoding !== "identity");
    return this.isWritable && !compressor.isBusy;
  }

  private accepts(encoding: MessageEncoding): boolean {
    return acceptsEncoding(headerValue(this.headers, "grpc-accept-encoding"), encoding);
  }

  private startDecompression(name: string): boolean {
    const encoding = parseEncoding(name);
    if (encoding === undefined || encoding === "identity") {
      const text = JSON.stringify(name.slice(0, 20));
      this.sendStatus(Status.UNIMPLEMENTED, `no decompression for grpc-encoding ${text}`);
      return false;
    }
    const { maxReceiveMessageBytes, connection } = this.host;
    this.decompressor = new Decompressor(encoding, maxReceiveMessageBytes, this);
    this.reader = new MessageReader(this, maxReceiveMessageBytes, connection.receiveWindowBytes, this.decompressor);
    return true;
  }

  /** Messages that nobody takes yet stay compressed, but for one. */
  private holdDecompression(message: Uint8Array): void {
    this.compressedRequests ??= new Set();
    this.compressedRequests.add(message);
    this.decompressor!.pause();
  }

  private refuseHttp(answer: HeaderTemplate): void {
    this.host.counts.onEnded(Status.UNKNOWN);
    this.finish(answer, nothing);
  }

  private finish(head: HeaderTemplate, rest: HeaderList): void {
    this.over = true;
    this.reader?.stop();
    deadlines.remove(this);
    if (this.compressor?.isBusy === true) this.ending = { head, rest };
    else this.sendEnding(head, rest);
  }

  private sendEnding(head: HeaderTemplate, rest: HeaderList): void {
    this.host.connection.sendHeaders(this.stream, head, rest, true);
    this.giveBack(this.held);
  }

  private giveBack(bytes: number): void {
    if (bytes === 0) return;
    this.held -= bytes;
    this.host.connection.consume(this.stream, bytes);
  }
}

function trailerList(details: string, first: Metadata | undefined, second: Metadata | undefined): HeaderList {
  if (details === "" && first === undefined && second === undefined) return nothing;
  const headers: string[] = [];
  if (details !== "") headers.push("grpc-message", encodeStatusMessage(details.slice(0, longestDetails)));
  first?.appendTo(headers);
  second?.appendTo(headers);
  return headers;
}
