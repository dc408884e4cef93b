// Over 300 lines: one state machine on the hot path. One object per call is the stream's handler, the deadline wheel's
// entry, the signal's listener and the sink of messages, over all its attempts.
import type { Http2Connection } from "../http2/connection.ts";
import { ErrorCode, type Http2Error } from "../http2/error.ts";
import type { HeaderList } from "../http2/headers.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import type { ConnectionCounts } from "./call-counts.ts";
import { CallExtras } from "./call-extras.ts";
import type { CallHead } from "./call-head.ts";
import type { CallListener } from "./call-listener.ts";
import { CallRetry } from "./call-retry.ts";
import { statusOfClose } from "./close-status.ts";
import { Compressor, type CompressorSink, Decompressor, type DecompressorSink, parseEncoding } from "./compression.ts";
import { type DeadlineEntry, deadlines } from "./deadline-wheel.ts";
import type { RpcError } from "./error.ts";
import { MessageReader, type MessageSink, messagePrefix, wholeMessage } from "./message-framing.ts";
import type { Metadata } from "./metadata.ts";
import { requestHeaders } from "./request-headers.ts";
import { type CallStatus, headerValue, isGrpcResponse, statusOfHttpResponse, statusOfTrailers } from "./response.ts";
import type { RetryEnvironment, RetryPolicy } from "./retry-policy.ts";
import type { StartOptions } from "./start-options.ts";
import { Status, type StatusName } from "./status.ts";
import { formatTimeout } from "./timeout.ts";

export type { CallListener } from "./call-listener.ts";
export type { ParentCall, StartOptions } from "./start-options.ts";

/** A connection that calls run on. */
export interface CallTransport {
  readonly connection: Http2Connection;
  /** The peer's address as it stands in messages. */
  readonly peer: string;
  /** Whether it is TLS. */
  readonly isSecure: boolean;
  /** Who the peer proved to be. */
  readonly tlsPeer: TlsPeer | undefined;
  readonly counts: ConnectionCounts;
  onCallStarted(call: ClientCall): void;
  onCallEnded(call: ClientCall): void;
}

/** Who starts calls and looks after those that wait: a channel. */
export interface CallOwner {
  /** Starts `call` anew, from the choice of a connection on. */
  restart(call: ClientCall): void;
  /** Calls `call.proceed()` after `delayMs`, unless it has ended by then. */
  proceedLater(call: ClientCall, delayMs: number): void;
  /** What `call` waits for, as it stands in a message: "a connection: connect ECONNREFUSED …". */
  describeWait(call: ClientCall): string;
  onCallEnded(call: ClientCall): void;
}

const empty = new Uint8Array(0);
const noTrailers: HeaderList = [];
/** What a streaming call without a retry policy keeps, for the case that no server looks at it (transparent retry). */
const transparentBytes = 64 * 1024;

const waiting = 0;
const started = 1;
const ended = 2;

/**
 * One call, from before it has a connection to its status.
 *
 * A call that no server looked at is started anew, once (gRFC A6, transparent retry); with a retry policy also one that
 * failed. Either only while no response headers came and all that was sent is still kept.
 */
export class ClientCall implements StreamHandler, DeadlineEntry, MessageSink, CompressorSink, DecompressorSink {
  readonly head: CallHead;
  readonly metadata: Metadata | undefined;
  readonly waitForReady: boolean;
  readonly isBackground: boolean;
  readonly #owner: CallOwner;
  readonly #listener: CallListener;

  /** The earliest limit, in the wheel's time; 0: none. */
  deadlineAt = 0;
  /** What was left of it when the call was made. */
  #timeoutMs = 0;
  wheelNext: DeadlineEntry["wheelNext"] = undefined;
  wheelPrevious: DeadlineEntry["wheelPrevious"] = undefined;
  /** The owner's: those before and after it among its open calls. */
  openNext: ClientCall | undefined = undefined;
  openPrevious: ClientCall | undefined = undefined;
  /** The owner's: where the call goes, and who said so. */
  route: unknown = undefined;
  routedBy: unknown = undefined;
  /** The owner's: whether the call had to wait, so that less than its whole time is left. */
  hasWaited = false;

  #state = waiting;
  /** The call's status once it has ended. */
  #status = -1;
  #signal: AbortSignal | undefined;
  #parentSignal: AbortSignal | undefined;
  #transport: CallTransport | undefined;
  #connection: Http2Connection | undefined;
  #stream: Http2Stream | undefined;
  #reader: MessageReader | undefined;
  /** What few calls need; undefined in all others. */
  #extras: CallExtras | undefined;

  /** The only request message. */
  readonly #request: Uint8Array | undefined;
  /** Messages that wait for a stream, or are kept for another one: all since the first. */
  #messages: Uint8Array[] | undefined;
  #isHalfClosed: boolean;
  #isWritable = true;
  #owesWritable = false;
  #isPaused = false;
  /** Bytes received that the peer gets no new window for yet. */
  #heldBytes = 0;

  /** All that was sent could be sent again. */
  #isReplayable = true;
  #wasRestarted = false;

  constructor(
    head: CallHead,
    options: StartOptions | undefined,
    listener: CallListener,
    owner: CallOwner,
    request: Uint8Array | undefined,
  ) {
    const { settings } = head;
    this.head = head;
    this.metadata = options?.metadata;
    this.waitForReady = options?.waitForReady ?? settings.waitForReady;
    this.isBackground = options?.isBackground === true;
    this.#listener = listener;
    this.#owner = owner;
    this.#request = request;
    this.#isHalfClosed = request !== undefined;
    if (options !== undefined) this.#limit(options);
    const compression = options?.compression ?? settings.compression;
    if (compression !== "identity") this.#extra().compression = compression;
    if (settings.timeoutMs > 0) this.limitTimeout(settings.timeoutMs);
    if (settings.retry !== undefined) this.allowRetries(settings.retry, settings.retries!);
  }

  /** Whether the status was given. */
  get isEnded(): boolean {
    return this.#state === ended;
  }

  /** The call's status; -1 before it was given. */
  get status(): number {
    return this.#status;
  }

  /** The address that serves the call; undefined while it waits. */
  get peer(): string | undefined {
    return this.#transport?.peer;
  }

  /** Who serves the call, as its certificate proves. */
  get tlsPeer(): TlsPeer | undefined {
    return this.#transport?.tlsPeer;
  }

  /** What credentials made: sent to peers that proved who they are, never in plaintext. */
  get credentialsMetadata(): Metadata | undefined {
    return this.#extras?.credentialsMetadata;
  }

  set credentialsMetadata(metadata: Metadata | undefined) {
    if (metadata !== undefined) this.#extra().credentialsMetadata = metadata;
  }

  /** Attempts that were made before this one; the server is told. */
  get previousAttempts(): number {
    return this.#extras?.previousAttempts ?? 0;
  }

  set previousAttempts(attempts: number) {
    this.#extra().previousAttempts = attempts;
  }

  #extra(): CallExtras {
    this.#extras ??= new CallExtras();
    return this.#extras;
  }

  /** What the call waits for, as it stands in a message. */
  describeWait(): string {
    return this.#transport?.peer ?? this.#owner.describeWait(this);
  }

  /** Sets a limit of `timeoutMs` from now, unless there is an earlier one. Before `start`. */
  limitTimeout(timeoutMs: number): void {
    const deadlineAt = deadlines.now() + timeoutMs;
    if (this.#state === ended || (this.deadlineAt !== 0 && this.deadlineAt <= deadlineAt)) return;
    deadlines.remove(this);
    this.deadlineAt = deadlineAt;
    this.#timeoutMs = timeoutMs;
    deadlines.add(this);
  }

  /** Tries again by `policy`, from now on; the first policy counts. Before `start`. */
  allowRetries(policy: RetryPolicy, environment: RetryEnvironment): void {
    const extra = this.#extra();
    if (extra.retry !== undefined || this.#state === ended) return;
    const retry = new CallRetry(policy, environment);
    // What can't be kept isn't tried again.
    if (!retry.keep(this.#request?.length ?? extra.keptBytes)) return;
    extra.retry = retry;
    this.#isReplayable = true;
  }

  /** Runs the call on `transport`, which can open a stream. */
  start(transport: CallTransport): void {
    const { connection } = transport;
    let timeout: string | undefined;
    if (this.deadlineAt !== 0) {
      timeout = formatTimeout(this.hasWaited ? this.deadlineAt - deadlines.now() : this.#timeoutMs);
    }
    let rest = requestHeaders(timeout, this.metadata);
    if (this.#extras !== undefined) {
      rest = [...rest];
      if (!this.#addExtras(this.#extras, transport, rest)) return;
    }
    this.#state = started;
    this.#transport = transport;
    this.#connection = connection;
    transport.onCallStarted(this);
    transport.counts.onStarted();
    const messages = this.#messages;
    if (!this.#isReplayable) this.#messages = undefined;
    const endsWithHeaders = this.#isHalfClosed && this.#request === undefined && messages === undefined;
    const stream = this.#open(transport, rest, endsWithHeaders);
    if (stream === undefined) return;
    if (this.#request !== undefined) {
      this.#write(this.#request, true);
      return;
    }
    if (messages === undefined) return;
    const { length } = messages;
    // One at a time: each may end the call.
    for (let index = 0; index < length && stream.isOpen; index++) {
      this.#write(messages[index]!, this.#isHalfClosed && index === length - 1);
    }
    if (this.#owesWritable && this.#canWrite() && !this.isEnded) this.onWritable();
  }

  /** Gives a call that was to run on a connection and can't back to its owner, to start it elsewhere. */
  returnToOwner(): void {
    this.hasWaited = true;
    this.#owner.restart(this);
  }

  /** Goes on after a wait that its owner was asked for. */
  proceed(): void {
    this.#owner.restart(this);
  }

  /** Sends a message; `compress: false` exempts it from compression. False: hold back until `onWritable`. */
  sendMessage(message: Uint8Array, compress = true): boolean {
    if (this.#state === ended) return true;
    if (message.length > this.head.settings.maxSendBytes) {
      this.refuseMessage(message.length);
      return true;
    }
    if (!compress) {
      const extra = this.#extra();
      extra.plainMessages ??= new Set();
      extra.plainMessages.add(message);
    }
    if (this.#isReplayable || this.#state === waiting) this.#keep(message);
    if (this.#state === waiting) {
      this.#owesWritable = true;
      return false;
    }
    if (!this.#stream!.isOpen) return true;
    this.#write(message, false);
    if (this.#canWrite()) return true;
    this.#owesWritable = true;
    return false;
  }

  /** Ends the call: one of its messages is too long to be sent. */
  refuseMessage(bytes: number): void {
    const { maxSendBytes } = this.head.settings;
    this.cancel("RESOURCE_EXHAUSTED", `request message of ${bytes} bytes is larger than the limit of ${maxSendBytes}`);
  }

  /** No more messages from this side. */
  halfClose(): void {
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    if (this.#state === started) this.#writeEnd();
  }

  /** Stops giving window to the peer: what is on its way (a window's worth) still comes. */
  pause(): void {
    this.#isPaused = true;
    this.#extras?.decompressor?.pause();
  }

  /** Undoes `pause`. */
  resume(): void {
    this.#isPaused = false;
    this.#extras?.decompressor?.resume();
    this.#giveWindow();
  }

  /** Ends the call with `code` now; the peer is told. Does nothing when it has ended. */
  cancel(code: StatusName, details: string, cause?: unknown): void {
    this.#end(Status[code], details, noTrailers, cause);
  }

  /** As `cancel`. */
  fail(error: RpcError): void {
    this.#end(error.status, error.details, noTrailers, error.cause ?? error);
  }

  /** There is no connection for this attempt: the call fails with `error`, or is tried again. */
  failAttempt(error: RpcError): void {
    const delayMs = this.#delayAfter(error.status, noTrailers);
    if (delayMs >= 0) this.#tryLater(delayMs);
    else this.fail(error);
  }

  /** Ends the call with a status that another one got for it. */
  finish(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    this.#end(status, details, trailers, cause);
  }

  // As the stream's handler.

  onHeaders(headers: HeaderList, endStream: boolean): void {
    if (this.#state === ended) return;
    if (endStream) {
      this.#endWith(statusOfTrailers(headers, this.#transport!.peer), headers);
    } else if (isGrpcResponse(headers)) {
      this.#commit();
      const encoding = headerValue(headers, "grpc-encoding");
      if (encoding !== undefined) this.#decompressWith(encoding);
      this.#listener.onHeaders(headers);
    } else {
      this.#endWith(statusOfHttpResponse(headers, this.#transport!.peer), noTrailers);
    }
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    const stream = this.#stream!;
    if (this.#state !== ended && !this.#willRetry()) {
      const { maxReceiveBytes } = this.head.settings;
      const message = this.#reader === undefined ? wholeMessage(chunk, start, end, maxReceiveBytes) : undefined;
      if (message !== undefined) this.onMessage(message);
      else if (end > start) this.#read(chunk, start, end);
    }
    const bytes = end - start;
    if (this.#isPaused || this.#extras?.decompressor?.isBusy === true) this.#heldBytes += bytes;
    else if (bytes > 0 && stream.isOpen) this.#connection!.consume(stream, bytes);
    if (endStream && !this.#willRetry()) {
      this.#end(Status.INTERNAL, `${this.#transport!.peer} ended the call without trailers`, noTrailers, undefined);
    }
  }

  onWritable(): void {
    this.#isWritable = true;
    if (this.#state !== started || !this.#owesWritable || !this.#canWrite()) return;
    this.#owesWritable = false;
    this.#listener.onWritable();
  }

  onClose(error: Http2Error | undefined): void {
    const transport = this.#transport!;
    this.#connection = undefined;
    transport.onCallEnded(this);
    const extras = this.#extras;
    if (this.#state === ended || extras?.lateStatus !== undefined) return;
    if (extras !== undefined && extras.retryDelayMs >= 0) {
      this.#tryLater(extras.retryDelayMs);
      return;
    }
    if (error?.unprocessed === true && this.#isReplayable && !this.#wasRestarted) {
      this.#wasRestarted = true;
      this.#countEnd(transport, Status.UNAVAILABLE, true);
      this.#detach();
      this.returnToOwner();
      return;
    }
    const { status, details } = statusOfClose(error, transport.peer);
    // A server whose own clock ran out first resets the stream: the caller's deadline is the reason it knows.
    const isLate = status === Status.CANCELLED && this.deadlineAt !== 0 && deadlines.now() >= this.deadlineAt;
    const delayMs = isLate ? -1 : this.#delayAfter(status, noTrailers);
    if (delayMs >= 0) {
      this.#countEnd(transport, status, true);
      this.#tryLater(delayMs);
    } else {
      this.#end(isLate ? Status.DEADLINE_EXCEEDED : status, details, noTrailers, error);
    }
  }

  // As a sink of messages.

  onMessage(message: Buffer): void {
    if (this.#state === ended) return;
    this.#transport!.counts.onReceived();
    this.#listener.onMessage(message);
  }

  onUnreadable(error: RpcError): void {
    this.#end(error.status, error.details, noTrailers, error);
  }

  onDecompressed(): void {
    const extra = this.#extra();
    const late = extra.lateStatus;
    if (late === undefined) {
      if (!this.#isPaused) this.#giveWindow();
      return;
    }
    extra.lateStatus = undefined;
    this.#endWith(late.status, late.trailers);
  }

  onCompressed(message: Uint8Array, isCompressed: boolean): void {
    if (this.#state !== started || !this.#stream!.isOpen) return;
    this.#transport!.counts.onSent();
    const prefix = messagePrefix(message.length, isCompressed);
    this.#isWritable = this.#connection!.write(this.#stream!, prefix, message, false);
  }

  onAllCompressed(): void {
    if (this.#state !== started) return;
    if (this.#isHalfClosed) this.#writeEnd();
    else if (this.#isWritable) this.onWritable();
  }

  // As an entry of the wheel.

  onDeadline(): void {
    const details = `the deadline passed after ${Math.round(this.#timeoutMs)} ms, waiting for ${this.describeWait()}`;
    this.#end(Status.DEADLINE_EXCEEDED, details, noTrailers, undefined);
  }

  // As a listener of the signals.

  handleEvent(event: Event): void {
    const signal = event.target === this.#parentSignal ? this.#parentSignal : this.#signal;
    if (signal !== undefined) this.#abort(signal);
  }

  /** Opens the stream; undefined when the headers can't be sent, and the call has ended. */
  #open(transport: CallTransport, rest: HeaderList, endStream: boolean): Http2Stream | undefined {
    // The few headers beside metadata are made here.
    const isSendable = this.#extras === undefined && this.metadata?.isSendable !== false;
    try {
      const head = this.head.template(transport.isSecure);
      this.#stream = transport.connection.request(this, head, rest, endStream, isSendable);
      return this.#stream;
    } catch (error) {
      // Metadata that was received and passed on may hold what can't be sent.
      this.#connection = undefined;
      transport.onCallEnded(this);
      this.#end(Status.INTERNAL, `the call's headers can't be sent: ${String(error)}`, noTrailers, error);
      return undefined;
    }
  }

  /** Sends one message on the open stream, and the end of the stream after the last. */
  #write(message: Uint8Array, isLast: boolean): void {
    const compressor = this.#extras?.compressor;
    if (compressor === undefined) {
      this.#transport!.counts.onSent();
      this.#isWritable = this.#connection!.write(this.#stream!, messagePrefix(message.length), message, isLast);
      return;
    }
    compressor.push(message, this.#extras?.plainMessages?.has(message) !== true);
    if (isLast) this.#writeEnd();
  }

  #writeEnd(): void {
    if (this.#extras?.compressor?.isBusy === true || !this.#stream!.isOpen) return;
    this.#connection!.write(this.#stream!, undefined, empty, true);
  }

  #canWrite(): boolean {
    return this.#isWritable && this.#extras?.compressor?.isBusy !== true;
  }

  #keep(message: Uint8Array): void {
    this.#messages ??= [];
    this.#messages.push(message);
    if (!this.#isReplayable) return;
    const extra = this.#extra();
    extra.keptBytes += message.length;
    const { retry } = extra;
    if (retry === undefined ? extra.keptBytes <= transparentBytes : retry.keep(message.length)) return;
    this.#commit();
  }

  /** There is no other attempt than the one under way. */
  #commit(): void {
    this.#isReplayable = false;
    this.#extras?.retry?.forget();
    if (this.#state === started) this.#messages = undefined;
  }

  /** An encoding that isn't known leaves no way to read messages that use it: the reader refuses the first of them. */
  #decompressWith(text: string): void {
    const encoding = parseEncoding(text);
    if (encoding === undefined || encoding === "identity") return;
    const { maxReceiveBytes } = this.head.settings;
    const decompressor = new Decompressor(encoding, maxReceiveBytes, this);
    if (this.#isPaused) decompressor.pause();
    this.#extra().decompressor = decompressor;
    this.#reader = new MessageReader(this, maxReceiveBytes, this.#connection!.receiveWindowBytes, decompressor);
  }

  #giveWindow(): void {
    if (this.#heldBytes === 0 || this.#extras?.decompressor?.isBusy === true) return;
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    if (this.#stream?.isOpen) this.#connection!.consume(this.#stream, bytes);
  }

  /** Leaves its connection behind. */
  #detach(): void {
    this.#state = waiting;
    this.#transport = undefined;
    this.#stream = undefined;
    this.#isWritable = true;
    const extras = this.#extras;
    if (extras === undefined) return;
    extras.compressor?.stop();
    extras.compressor = undefined;
    extras.retryDelayMs = -1;
  }

  /** Whether the next attempt only waits for the end of this one's stream. */
  #willRetry(): boolean {
    return this.#extras !== undefined && this.#extras.retryDelayMs >= 0;
  }

  /** Counts the attempt that ends with `status`; how long until the next one, -1 where there is none. */
  #delayAfter(status: number, trailers: HeaderList): number {
    return this.#extras?.retry?.onAttemptEnded(status, trailers, this.#isReplayable) ?? -1;
  }

  /** Adds the headers that few calls have, and makes ready to compress; false: the call has ended. */
  #addExtras(extras: CallExtras, { isSecure, peer }: CallTransport, headers: string[]): boolean {
    if (extras.previousAttempts > 0) headers.push("grpc-previous-rpc-attempts", `${extras.previousAttempts}`);
    if (extras.compression !== "identity") {
      headers.push("grpc-encoding", extras.compression);
      extras.compressor = new Compressor(extras.compression, this);
    }
    if (extras.credentialsMetadata === undefined) return true;
    if (isSecure) extras.credentialsMetadata.appendTo(headers);
    else this.cancel("UNAUTHENTICATED", `call credentials are not sent in plaintext, which ${peer} speaks`);
    return isSecure;
  }

  #tryLater(delayMs: number): void {
    this.#detach();
    this.previousAttempts = this.#extras!.retry!.previousAttempts;
    this.hasWaited = true;
    this.#owner.proceedLater(this, delayMs);
  }

  #abort(signal: AbortSignal): void {
    const reason: unknown = signal.reason;
    const isParent = signal === this.#parentSignal;
    const why = reason instanceof Error && reason.name !== "AbortError" ? `: ${reason.message}` : "";
    const who = isParent ? "the call that this one is made for ended" : "the caller cancelled";
    this.#end(Status.CANCELLED, `${who}${why}`, noTrailers, reason);
  }

  #read(chunk: Uint8Array, start: number, end: number): void {
    this.#reader ??= new MessageReader(this, this.head.settings.maxReceiveBytes, this.#connection!.receiveWindowBytes);
    this.#reader.push(chunk, start, end);
  }

  #limit({ timeoutMs, deadline, signal, propagateFrom }: StartOptions): void {
    let limitMs = timeoutMs ?? Number.POSITIVE_INFINITY;
    const parentDeadline = propagateFrom?.deadline;
    if (deadline !== undefined) limitMs = Math.min(limitMs, deadline.getTime() - Date.now());
    if (parentDeadline !== undefined) limitMs = Math.min(limitMs, parentDeadline.getTime() - Date.now());
    if (limitMs !== Number.POSITIVE_INFINITY) {
      this.#timeoutMs = Math.max(0, limitMs);
      // 0 means none: a deadline at the very start of time passed long ago.
      this.deadlineAt = deadlines.now() + this.#timeoutMs || 1;
      deadlines.add(this);
    }
    if (signal !== undefined) this.#signal = signal;
    if (propagateFrom !== undefined) this.#parentSignal = propagateFrom.signal;
  }

  /** Ends the call where it is late or cancelled already, and listens to its signals. Once the owner took the call in. */
  admit(): void {
    if (this.deadlineAt !== 0 && this.#timeoutMs === 0) this.onDeadline();
    if (this.isEnded) return;
    if (this.#signal !== undefined) this.#watch(this.#signal);
    if (this.#parentSignal !== undefined && !this.isEnded) this.#watch(this.#parentSignal);
  }

  #watch(signal: AbortSignal): void {
    if (signal.aborted) this.#abort(signal);
    else signal.addEventListener("abort", this);
  }

  #countEnd({ counts }: CallTransport, status: number, isBroken: boolean): void {
    counts.onEnded(status);
    if (isBroken) counts.broken++;
  }

  #endWith(ending: CallStatus, trailers: HeaderList): void {
    const { status, details } = ending;
    if (this.#reader?.isBusy === true) {
      this.#extra().lateStatus = { status: ending, trailers };
      return;
    }
    if (this.#extras !== undefined && this.#isRetried(this.#extras, status, trailers)) return;
    // A message that was cut off by trailers would be lost in silence.
    if (status === Status.OK && this.#reader?.isInMessage === true) {
      this.#end(Status.INTERNAL, `${this.#transport!.peer} ended the call within a message`, noTrailers, undefined);
    } else {
      this.#end(status, details, trailers, undefined);
    }
  }

  /** Whether there is another attempt after this one's status; it begins when the stream is closed. */
  #isRetried(extras: CallExtras, status: number, trailers: HeaderList): boolean {
    const delayMs = this.#delayAfter(status, trailers);
    if (delayMs < 0) return false;
    extras.retryDelayMs = delayMs;
    this.#countEnd(this.#transport!, status, trailers === noTrailers);
    const stream = this.#stream!;
    const hasEnded = trailers !== noTrailers && this.#hasSentAll(stream);
    if (!hasEnded && stream.isOpen) this.#connection!.reset(stream, ErrorCode.CANCEL);
    return true;
  }

  #end(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    if (this.#state === ended) return;
    const transport = this.#state === started && !this.#willRetry() ? this.#transport : undefined;
    this.#state = ended;
    this.#status = status;
    if (transport !== undefined) this.#countEnd(transport, status, trailers === noTrailers);
    deadlines.remove(this);
    this.#signal?.removeEventListener("abort", this);
    this.#parentSignal?.removeEventListener("abort", this);
    this.#messages = undefined;
    this.#reader?.stop();
    this.#extras?.retry?.forget();
    this.#owner.onCallEnded(this);
    const stream = this.#stream;
    // After an ordinary end both sides are done and there is nothing to reset.
    const hasEnded = stream !== undefined && trailers !== noTrailers && this.#hasSentAll(stream);
    // Only now: what it was still busy with was not sent.
    this.#extras?.compressor?.stop();
    if (!hasEnded && stream?.isOpen && this.#connection !== undefined) {
      this.#connection.reset(stream, trailers === noTrailers ? ErrorCode.CANCEL : ErrorCode.NO_ERROR);
    }
    this.#listener.onStatus(status, details, trailers, cause);
  }

  #hasSentAll(stream: Http2Stream): boolean {
    return this.#isHalfClosed && stream.queuedBytes === 0 && this.#extras?.compressor?.isBusy !== true;
  }
}
