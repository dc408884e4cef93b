// Over 300 lines: one state machine on the hot path. One object per call is the stream's handler, the deadline wheel's
// entry and the signal's listener.
import type { Http2Connection } from "../http2/connection.ts";
import { ErrorCode, errorCodeName, type Http2Error } from "../http2/error.ts";
import type { HeaderList } from "../http2/headers.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import type { ConnectionCounts } from "./call-counts.ts";
import type { CallHead } from "./call-head.ts";
import { type DeadlineEntry, deadlines } from "./deadline-wheel.ts";
import type { RpcError } from "./error.ts";
import { MessageReader, type MessageSink, messagePrefix, wholeMessage } from "./message-framing.ts";
import type { Metadata } from "./metadata.ts";
import { type CallStatus, isGrpcResponse, statusOfHttpResponse, statusOfTrailers } from "./response.ts";
import { Status, type StatusName, statusOfReset } from "./status.ts";
import { formatTimeout } from "./timeout.ts";

/** What a call tells whoever started it. Never from within the function that starts the call, except `onStatus`. */
export interface CallListener {
  /** Response headers: at most once, before any message; not at all when the call ended without them. */
  onHeaders(headers: HeaderList): void;
  /** The next message; its bytes belong to the listener. */
  onMessage(message: Buffer): void;
  /** `sendMessage` returned false before and would return true now. */
  onWritable(): void;
  /** Exactly once, last. `status` 0 is OK; `trailers` is empty where the status was made on this side. */
  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void;
}

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
  /** Starts `call` anew, from the choice of a connection on: none has done anything with it. */
  restart(call: ClientCall): void;
  /** What `call` waits for, as it stands in a message: "a connection: connect ECONNREFUSED …". */
  describeWait(call: ClientCall): string;
  onCallEnded(call: ClientCall): void;
}

/** What a call may be told besides its method and messages. */
export interface StartOptions {
  readonly metadata?: Metadata | undefined;
  /** When the call ends with DEADLINE_EXCEEDED. With several limits the earliest holds. */
  readonly deadline?: Date | undefined;
  readonly timeoutMs?: number | undefined;
  /** Ends the call with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Waits for a connection, where it would fail at once because there is none. Default false. */
  readonly waitForReady?: boolean | undefined;
  /**
   * The call serves the process and not the other way round, as a subscription does: open or waiting, it doesn't keep the
   * process alive. Default false.
   */
  readonly isBackground?: boolean | undefined;
  /** The call that is being served and needs this one: its deadline holds here too, and its end cancels this one. */
  readonly propagateFrom?: ParentCall | undefined;
}

/** A call that is being served, as far as calls made for it care. */
export interface ParentCall {
  readonly deadline: Date | undefined;
  readonly signal: AbortSignal;
}

const empty = new Uint8Array(0);
const noTrailers: HeaderList = [];
const noMessages: readonly Uint8Array[] = [];

const waiting = 0;
const started = 1;
const ended = 2;

/** One attempt at a call, from before it has a connection to its status. */
export class ClientCall implements StreamHandler, DeadlineEntry, MessageSink {
  readonly head: CallHead;
  readonly metadata: Metadata | undefined;
  readonly waitForReady: boolean;
  readonly isBackground: boolean;
  readonly #owner: CallOwner;
  readonly #listener: CallListener;
  readonly #maxReceiveBytes: number;

  /** The earliest limit, in the wheel's time; 0: none. */
  deadlineAt = 0;
  /** What was left of it when the call was made. */
  #timeoutMs = 0;
  wheelSlot = -1;
  wheelIndex = 0;
  /** The owner's: the place among its open calls, -1 when in none. */
  openIndex = -1;
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

  /** The only request message, kept: a call that no server looked at is started anew, once (gRFC A6, transparent retry). */
  readonly #request: Uint8Array | undefined;
  /** Messages that wait for a stream. */
  #unsent: Uint8Array[] | undefined;
  #isHalfClosed: boolean;
  #owesWritable = false;
  #isPaused = false;
  #wasRestarted = false;
  /** Bytes received while paused: given back to the peer's window on resume. */
  #heldBytes = 0;

  constructor(
    head: CallHead,
    options: StartOptions | undefined,
    listener: CallListener,
    owner: CallOwner,
    request: Uint8Array | undefined,
    maxReceiveBytes: number,
  ) {
    this.head = head;
    this.metadata = options?.metadata;
    this.waitForReady = options?.waitForReady === true;
    this.isBackground = options?.isBackground === true;
    this.#listener = listener;
    this.#owner = owner;
    this.#request = request;
    this.#isHalfClosed = request !== undefined;
    this.#maxReceiveBytes = maxReceiveBytes;
    if (options !== undefined) this.#limit(options);
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

  /** Sets a limit of `timeoutMs` from now, unless there is an earlier one. For routes; before `start`. */
  limitTimeout(timeoutMs: number): void {
    const deadlineAt = deadlines.now() + timeoutMs;
    if (this.#state === ended || (this.deadlineAt !== 0 && this.deadlineAt <= deadlineAt)) return;
    deadlines.remove(this);
    this.deadlineAt = deadlineAt;
    this.#timeoutMs = timeoutMs;
    deadlines.add(this);
  }

  /** Runs the call on `transport`, which can open a stream. */
  start(transport: CallTransport): void {
    const { connection } = transport;
    this.#state = started;
    this.#transport = transport;
    this.#connection = connection;
    const rest: string[] = [];
    if (this.deadlineAt !== 0) {
      rest.push("grpc-timeout", formatTimeout(this.hasWaited ? this.deadlineAt - deadlines.now() : this.#timeoutMs));
    }
    this.metadata?.appendTo(rest);
    transport.onCallStarted(this);
    transport.counts.onStarted();
    const unsent = this.#unsent ?? noMessages;
    this.#unsent = undefined;
    const endsWithHeaders = this.#isHalfClosed && this.#request === undefined && unsent.length === 0;
    const stream = this.#open(transport, rest, endsWithHeaders);
    if (stream === undefined) return;
    if (this.#request !== undefined) {
      transport.counts.onSent();
      connection.write(stream, messagePrefix(this.#request.length), this.#request, true);
      return;
    }
    let isWritable = true;
    for (let index = 0; index < unsent.length && stream.isOpen; index++) {
      const message = unsent[index]!;
      const isLast = this.#isHalfClosed && index === unsent.length - 1;
      transport.counts.onSent();
      isWritable = connection.write(stream, messagePrefix(message.length), message, isLast);
    }
    if (this.#owesWritable && isWritable && !this.isEnded) this.onWritable();
  }

  /** Gives a call that was to run on a connection and can't back to its owner, to start it elsewhere. */
  returnToOwner(): void {
    this.hasWaited = true;
    this.#owner.restart(this);
  }

  /** Sends a message. False: hold back until `onWritable`. */
  sendMessage(message: Uint8Array): boolean {
    if (this.#state === started) {
      if (!this.#stream!.isOpen) return true;
      this.#transport!.counts.onSent();
      const isWritable = this.#connection!.write(this.#stream!, messagePrefix(message.length), message, false);
      if (!isWritable) this.#owesWritable = true;
      return isWritable;
    }
    if (this.#state === ended) return true;
    this.#unsent ??= [];
    this.#unsent.push(message);
    this.#owesWritable = true;
    return false;
  }

  /** No more messages from this side. */
  halfClose(): void {
    if (this.#isHalfClosed) return;
    this.#isHalfClosed = true;
    if (this.#state === started && this.#stream!.isOpen) this.#connection!.write(this.#stream!, undefined, empty, true);
  }

  /** Stops giving window to the peer: what is on its way (a window's worth) still comes. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Undoes `pause`. */
  resume(): void {
    this.#isPaused = false;
    const bytes = this.#heldBytes;
    if (bytes === 0) return;
    this.#heldBytes = 0;
    if (this.#stream?.isOpen) this.#connection!.consume(this.#stream, bytes);
  }

  /** Ends the call with `code` now; the peer is told. Does nothing when it has ended. */
  cancel(code: StatusName, details: string, cause?: unknown): void {
    this.#end(Status[code], details, noTrailers, cause);
  }

  /** As `cancel`. */
  fail(error: RpcError): void {
    this.#end(error.status, error.details, noTrailers, error.cause ?? error);
  }

  // As the stream's handler.

  onHeaders(headers: HeaderList, endStream: boolean): void {
    if (this.#state === ended) return;
    if (endStream) {
      this.#endWith(statusOfTrailers(headers, this.#transport!.peer), headers);
    } else if (isGrpcResponse(headers)) {
      this.#listener.onHeaders(headers);
    } else {
      this.#endWith(statusOfHttpResponse(headers, this.#transport!.peer), noTrailers);
    }
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    const stream = this.#stream!;
    if (this.#state !== ended) {
      const message = this.#reader === undefined ? wholeMessage(chunk, start, end, this.#maxReceiveBytes) : undefined;
      if (message !== undefined) this.onMessage(message);
      else if (end > start) this.#read(chunk, start, end);
    }
    const bytes = end - start;
    if (this.#isPaused) this.#heldBytes += bytes;
    else if (bytes > 0 && stream.isOpen) this.#connection!.consume(stream, bytes);
    if (endStream) {
      this.#end(Status.INTERNAL, `${this.#transport!.peer} ended the call without trailers`, noTrailers, undefined);
    }
  }

  onWritable(): void {
    if (this.#state === ended || !this.#owesWritable) return;
    this.#owesWritable = false;
    this.#listener.onWritable();
  }

  onClose(error: Http2Error | undefined): void {
    const transport = this.#transport!;
    this.#connection = undefined;
    transport.onCallEnded(this);
    if (this.#state === ended) return;
    if (error?.unprocessed === true && this.#request !== undefined && !this.#wasRestarted) {
      this.#wasRestarted = true;
      this.#countEnd(transport, Status.UNAVAILABLE, true);
      this.#state = waiting;
      this.#transport = undefined;
      this.#stream = undefined;
      this.returnToOwner();
      return;
    }
    const { status, details } = statusOfClose(error, transport.peer);
    // A server whose own clock ran out first resets the stream: the caller's deadline is the reason it knows.
    const isLate = status === Status.CANCELLED && this.deadlineAt !== 0 && deadlines.now() >= this.deadlineAt;
    this.#end(isLate ? Status.DEADLINE_EXCEEDED : status, details, noTrailers, error);
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

  // As an entry of the wheel.

  onDeadline(): void {
    const transport = this.#transport;
    const where =
      transport === undefined ? `waiting for ${this.#owner.describeWait(this)}` : `waiting for ${transport.peer}`;
    this.#end(
      Status.DEADLINE_EXCEEDED,
      `the deadline passed after ${Math.round(this.#timeoutMs)} ms, ${where}`,
      noTrailers,
      undefined,
    );
  }

  // As a listener of the signals.

  handleEvent(event: Event): void {
    const signal = event.target === this.#parentSignal ? this.#parentSignal : this.#signal;
    if (signal !== undefined) this.#abort(signal);
  }

  /** Opens the stream; undefined when the headers can't be sent, and the call has ended. */
  #open(transport: CallTransport, rest: HeaderList, endStream: boolean): Http2Stream | undefined {
    try {
      this.#stream = transport.connection.request(this, this.head.template(transport.isSecure), rest, endStream);
      return this.#stream;
    } catch (error) {
      // Metadata that was received and passed on may hold what can't be sent.
      this.#connection = undefined;
      transport.onCallEnded(this);
      this.#end(Status.INTERNAL, `the call's headers can't be sent: ${String(error)}`, noTrailers, error);
      return undefined;
    }
  }

  #abort(signal: AbortSignal): void {
    const reason: unknown = signal.reason;
    const isParent = signal === this.#parentSignal;
    const why = reason instanceof Error && reason.name !== "AbortError" ? `: ${reason.message}` : "";
    const who = isParent ? "the call that this one is made for ended" : "the caller cancelled";
    this.#end(Status.CANCELLED, `${who}${why}`, noTrailers, reason);
  }

  #read(chunk: Uint8Array, start: number, end: number): void {
    this.#reader ??= new MessageReader(this, this.#maxReceiveBytes);
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

  #endWith({ status, details }: CallStatus, trailers: HeaderList): void {
    // A message that was cut off by trailers would be lost in silence.
    if (status === Status.OK && this.#reader?.isInMessage === true) {
      this.#end(Status.INTERNAL, `${this.#transport!.peer} ended the call within a message`, noTrailers, undefined);
    } else {
      this.#end(status, details, trailers, undefined);
    }
  }

  #end(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    if (this.#state === ended) return;
    this.#state = ended;
    this.#status = status;
    if (this.#transport !== undefined) this.#countEnd(this.#transport, status, trailers === noTrailers);
    if (this.wheelSlot !== -1) deadlines.remove(this);
    this.#signal?.removeEventListener("abort", this);
    this.#parentSignal?.removeEventListener("abort", this);
    this.#unsent = undefined;
    this.#reader?.stop();
    this.#owner.onCallEnded(this);
    const stream = this.#stream;
    // After an ordinary end both sides are done and there is nothing to reset.
    const hasEnded = trailers !== noTrailers && this.#isHalfClosed && stream?.queuedBytes === 0;
    if (!hasEnded && stream?.isOpen && this.#connection !== undefined) {
      this.#connection.reset(stream, trailers === noTrailers ? ErrorCode.CANCEL : ErrorCode.NO_ERROR);
    }
    this.#listener.onStatus(status, details, trailers, cause);
  }
}

function statusOfClose(error: Http2Error | undefined, peer: string): CallStatus {
  if (error === undefined) return { status: Status.INTERNAL, details: `${peer} ended the call without trailers` };
  if (error.unprocessed) return { status: Status.UNAVAILABLE, details: `${peer} refused the call: ${error.message}` };
  if (error.connection)
    return { status: Status.UNAVAILABLE, details: `the connection to ${peer} broke: ${causeText(error)}` };
  const status = Status[statusOfReset(error.code)];
  if (!error.remote) return { status, details: `the stream to ${peer} failed: ${error.message}` };
  return { status, details: `${peer} reset the stream with ${errorCodeName(error.code)}` };
}

function causeText(error: Http2Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
