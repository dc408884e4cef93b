// HTTP/2 over any Duplex, either role (RFC 9113). Over 300 lines because one object owns a connection's state machine, and a
// frame passes through it without crossing more objects than it must; what stands on its own is beside it:
//
//     socket → FrameReader → Http2Connection → StreamHandler (the owner's calls)
//                                  │  HpackDecoder, ReceiveWindow, budgets, ClosedStreams
//     socket ← Output ← Sender ←───┘  HpackEncoder, send windows, queues
//
// On the path of a call there is no promise, emitter, closure or timer: handlers are called directly, ids index a ring.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { FrameBudget, ResetBudget } from "./budget.ts";
import { ClosedStreams, Ending } from "./closed-streams.ts";
import { ErrorCode, errorCodeName, Http2Error, type Http2ErrorDetails, type LimitName } from "./error.ts";
import {
  clientPreface,
  FrameFlag,
  FrameType,
  maxMaxFrameBytes,
  maxStreamId,
  maxWindowBytes,
  minMaxFrameBytes,
  readUint31,
  readUint32,
  Setting,
} from "./frame.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import type { HeaderList, HeaderTemplate } from "./headers.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import type { FieldSection } from "./hpack/field-section.ts";
import { areTrailers, requestProblem, responseStatus } from "./message-rules.ts";
import { type Clock, defaultLimits, type Http2Limits, type Http2Options, systemClock } from "./options.ts";
import { Output, type OutputOwner } from "./output.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import { Http2Stream, StreamFlag, type StreamHandler } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";
import { Wait, Watchdog } from "./watchdog.ts";

const noBytes = Buffer.allocUnsafeSlow(0);
const maxSettingsParameters = 64;
// first word of PING payloads, so that an acknowledgement tells what asked
const pingOwner = 0x77656674;
const pingProbe = 0x77656675;
const pingDrain = 0x77656676;

/** What a connection tells its owner. */
export interface ConnectionHandler {
  /** Server only: a request arrived; the answer is what hears of the rest of it. */
  onStream(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler;
  /** The peer wants no new streams here (or ids are used up); streams it will not process were closed as `unprocessed` before. */
  onGoaway(code: number, debug: string): void;
  /** `canOpenStream` may have turned true, or the peer's first SETTINGS arrived (`isReady`). */
  onCapacity(): void;
  /**
   * The peer sent a PING; false ends the connection with ENHANCE_YOUR_CALM. `isIdle`: this side sent no HEADERS or DATA
   * since the PING before.
   */
  onPing?(isIdle: boolean): boolean;
  /** Exactly once, after every stream's `onClose`; undefined when it ended as one side asked. */
  onClose(error: Http2Error | undefined): void;
}

interface PendingPing {
  readonly id: number;
  readonly sentAtMs: number;
  readonly onAck: (rttMs: number) => void;
}

/**
 * One HTTP/2 connection. Owns the socket: it ends or destroys it.
 *
 * A peer's mistakes end streams or the connection by the RFC's rules and never throw; a caller's mistakes (fields that can't be
 * sent, a request while `canOpenStream` is false) throw and change nothing.
 */
export class Http2Connection implements FrameSink, SenderOwner, OutputOwner {
  readonly role: "client" | "server";
  readonly socket: Duplex;
  readonly #isServer: boolean;
  readonly #handler: ConnectionHandler;
  readonly #limits: Http2Limits;
  readonly #clock: Clock;
  readonly #output: Output;
  readonly #sender: Sender;
  readonly #reader: FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #receive: ReceiveWindow;
  readonly #streams = new StreamTable();
  readonly #closedStreams = new ClosedStreams();
  readonly #watchdog: Watchdog;

  readonly #settingsBudget: FrameBudget;
  readonly #pingBudget: FrameBudget;
  #hasSentSincePing = false;
  readonly #emptyBudget: FrameBudget;
  readonly #uselessBudget: FrameBudget;
  readonly #resetBudget: ResetBudget;

  #prefaceAt: number;
  #isReady = false;
  /** No more input is looked at, no more output made. */
  #isOver = false;
  #closeReported = false;
  #isPaused = false;
  #isFeeding = false;
  #waitingChunks: Buffer[] | undefined;
  #settingsUnacked = 0;
  #pings: PendingPing[] = [];
  #nextPingId = 1;

  /** Client: the next request's id. */
  #nextId = 1;
  #peerMaxStreams = Number.POSITIVE_INFINITY;
  #lastPeerId = 0;
  /** Streams of the peer above this one are not processed any more. */
  #lastAcceptedId = maxStreamId;
  /** This side announced the end. */
  #isDraining = false;
  /** The peer did. */
  #isPeerDraining = false;

  // a header block that goes on in CONTINUATION
  #blockStreamId = 0;
  #blockFlags = 0;
  #blockFrames = 0;
  #block: Buffer = noBytes;
  #blockBytes = 0;
  #selfDependentId = 0;

  // the DATA frame being read; undefined: nobody wants it
  #dataStream: Http2Stream | undefined;
  #dataEndsStream = false;

  constructor(socket: Duplex, role: "client" | "server", handler: ConnectionHandler, options: Http2Options = {}) {
    const limits = { ...defaultLimits, ...options.limits };
    const clock = options.clock ?? systemClock;
    this.socket = socket;
    this.role = role;
    this.#isServer = role === "server";
    this.#handler = handler;
    this.#limits = limits;
    this.#clock = clock;
    this.#output = new Output(socket, this);
    this.#sender = new Sender(this.#output, this, limits);
    this.#reader = new FrameReader(this);
    this.#decoder = new HpackDecoder(limits.maxHeaderListBytes);
    this.#receive = new ReceiveWindow(this.#sender, limits, () => this.#sender.sendPing(0, pingProbe, 0));
    this.#watchdog = new Watchdog(clock, (wait) => this.#onDue(wait));
    this.#settingsBudget = new FrameBudget(limits.maxSettingsFrames, limits.floodWindowMs, clock);
    this.#pingBudget = new FrameBudget(limits.maxPingFrames, limits.floodWindowMs, clock);
    this.#emptyBudget = new FrameBudget(limits.maxEmptyFrames, limits.floodWindowMs, clock);
    this.#uselessBudget = new FrameBudget(limits.maxUselessFrames, limits.floodWindowMs, clock);
    this.#resetBudget = new ResetBudget(limits.maxResets, clock);
    this.#prefaceAt = this.#isServer ? 0 : clientPreface.length;
    if (limits.headerTableBytes > 4096) this.#decoder.allowTableBytes(limits.headerTableBytes);

    if (socket instanceof Socket) socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.on("error", (cause: Error) => this.#onSocketGone(cause));
    socket.on("end", () => this.#onSocketEnd());
    socket.on("close", () => this.#onSocketGone(undefined));
    this.#open();
  }

  #open(): void {
    const limits = this.#limits;
    if (!this.#isServer) {
      const at = this.#output.reserve(clientPreface.length);
      clientPreface.copy(this.#output.slab, at);
      this.#output.advance(at + clientPreface.length);
    }
    const settings = this.#isServer
      ? [Setting.maxConcurrentStreams, limits.maxConcurrentStreams]
      : [Setting.enablePush, 0];
    settings.push(Setting.initialWindowSize, limits.initialStreamWindowBytes);
    settings.push(Setting.maxHeaderListSize, limits.maxHeaderListBytes);
    if (limits.headerTableBytes !== 4096) settings.push(Setting.headerTableSize, limits.headerTableBytes);
    if (limits.maxFrameBytes !== minMaxFrameBytes) settings.push(Setting.maxFrameSize, limits.maxFrameBytes);
    this.#sendSettings(settings);
    this.#receive.announce();
    this.#watchdog.arm(Wait.preface, limits.prefaceTimeoutMs);
  }

  /** Client: a `request` would be sent now: no GOAWAY, below the peer's limit, ids left, the peer takes bytes. */
  get canOpenStream(): boolean {
    return (
      !this.#isServer &&
      !this.#isOver &&
      !this.#isDraining &&
      !this.#isPeerDraining &&
      this.#streams.size < this.#peerMaxStreams &&
      this.#nextId <= maxStreamId &&
      this.#output.controlBytes <= this.#limits.maxOutboundBytes
    );
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  /** The peer's SETTINGS are here. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Nothing can be sent or received any more. */
  get isClosed(): boolean {
    return this.#isOver;
  }

  // === what the owner asks for

  /** Opens a stream; only while `canOpenStream`. */
  request(handler: StreamHandler, head: HeaderTemplate, rest: HeaderList, endStream: boolean): Http2Stream {
    if (!this.canOpenStream) throw new Error("connection can't open a stream now");
    // before anything changes: it throws
    const maxBytes = this.#sender.assertSendable(head, rest);
    const stream = new Http2Stream(this.#nextId, this.#sender.initialWindow, handler);
    this.#nextId += 2;
    this.#streams.add(stream);
    this.#sender.sendSendable(stream, head, rest, maxBytes, endStream);
    if (this.#nextId > maxStreamId) this.#handler.onGoaway(ErrorCode.NO_ERROR, "stream ids are used up");
    return stream;
  }

  /**
   * Response headers, or trailers with `endStream`; these wait behind data that is still queued. On a stream that is over it does
   * nothing: the owner heard of it by `onClose`.
   *
   * A server that has answered has no use for the rest of the request: if that is still coming, the stream is reset with NO_ERROR.
   */
  sendHeaders(stream: Http2Stream, head: HeaderTemplate | undefined, rest: HeaderList, endStream: boolean): void {
    if ((stream.flags & (StreamFlag.closed | StreamFlag.localEnded | StreamFlag.endQueued)) !== 0) return;
    this.#sender.sendHeaders(stream, head, rest, endStream);
  }

  /**
   * Sends `prefix` and `body` as DATA, or queues what the peer's windows or the socket don't take; false above the high-water
   * mark (then wait for `onWritable`). `prefix` may be used again at once; a body of 16 KiB or more must not change until sent.
   */
  write(stream: Http2Stream, prefix: Uint8Array | undefined, body: Uint8Array, endStream: boolean): boolean {
    if ((stream.flags & (StreamFlag.closed | StreamFlag.localEnded | StreamFlag.endQueued)) !== 0) return true;
    return this.#sender.write(stream, prefix, body, endStream);
  }

  /** The owner is done with `bytes` that `onData` gave it: the peer may send as many again. What a closed stream had is returned by itself. */
  consume(stream: Http2Stream, bytes: number): void {
    if (bytes <= 0 || (stream.flags & StreamFlag.closed) !== 0) return;
    const count = Math.min(bytes, stream.unconsumed);
    stream.unconsumed -= count;
    this.#receive.giveStream(stream, count);
    this.#receive.give(count);
  }

  /** Ends a stream at once; its handler hears of it by `onClose` before this returns. */
  reset(stream: Http2Stream, code: number): void {
    if ((stream.flags & StreamFlag.closed) !== 0) return;
    this.#sender.sendRstStream(stream.id, code);
    const error = new Http2Error(code, `stream reset here with ${errorCodeName(code)}`);
    this.#closeStream(stream, error, Ending.byUs);
  }

  /** Calls `onAck` with the round trip's time, unless the connection ends before. */
  ping(onAck: (rttMs: number) => void): void {
    if (this.#isOver) return;
    const id = this.#nextPingId;
    this.#nextPingId = (id + 1) >>> 0;
    this.#pings.push({ id, sentAtMs: this.#clock.now(), onAck });
    this.#sender.sendPing(0, pingOwner, id);
  }

  /**
   * Announces the end, lets open streams finish, then closes the socket. A server without `code` first announces it without
   * refusing what is under way, and only a round trip later names the last stream it takes (RFC 9113 §6.8).
   */
  goaway(code: number = ErrorCode.NO_ERROR, debug = ""): void {
    if (this.#isOver || this.#isDraining) return;
    this.#isDraining = true;
    if (this.#isServer && code === ErrorCode.NO_ERROR) {
      this.#sender.sendGoaway(maxStreamId, code, debug);
      this.#sender.sendPing(0, pingDrain, 0);
      this.#watchdog.arm(Wait.drain, this.#limits.closeTimeoutMs);
      return;
    }
    this.#lastAcceptedId = this.#lastPeerId;
    this.#sender.sendGoaway(this.#lastPeerId, code, debug);
    this.#finishWhenIdle();
  }

  /** Ends everything now; streams that are open fail with CANCEL. */
  destroy(error?: Error): void {
    if (this.#closeReported) return;
    if (!this.#isOver) {
      this.#output.flush();
      const details: Http2ErrorDetails = { connection: true, cause: error };
      this.#end(new Http2Error(ErrorCode.CANCEL, error?.message ?? "connection closed here", details));
    }
    this.socket.destroy();
    this.#report(error === undefined ? undefined : this.#failure(error));
  }

  #failure(cause: Error): Http2Error {
    return new Http2Error(ErrorCode.INTERNAL_ERROR, cause.message, { connection: true, cause });
  }

  // === bytes in

  #onChunk(chunk: Buffer): void {
    if (this.#isOver) return;
    if (this.#isFeeding) {
      // a Duplex that delivers while we are called back: keep the order
      this.#waitingChunks ??= [];
      this.#waitingChunks.push(chunk);
      return;
    }
    this.#isFeeding = true;
    let next: Buffer | undefined = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    while (next !== undefined && !this.#isOver) {
      const from: number = this.#prefaceAt < clientPreface.length ? this.#readPreface(next) : 0;
      if (from >= 0) this.#reader.feed(next, from);
      next = this.#waitingChunks?.shift();
    }
    this.#isFeeding = false;
    if (this.#output.isBlocked && !this.#isOver) this.#checkOutbound();
  }

  /** Compares the client's preface; returns where it ends in the chunk, -1 when it is wrong. */
  #readPreface(chunk: Buffer): number {
    let at = 0;
    while (at < chunk.length && this.#prefaceAt < clientPreface.length) {
      if (chunk[at] !== clientPreface[this.#prefaceAt]) {
        this.#fail(ErrorCode.PROTOCOL_ERROR, "not an HTTP/2 client preface");
        return -1;
      }
      at += 1;
      this.#prefaceAt += 1;
    }
    return at;
  }

  /** A peer that makes us answer but doesn't read: first it isn't read from either, then it is cut off. */
  #checkOutbound(): void {
    const waiting = this.#output.controlBytes;
    const { maxOutboundBytes } = this.#limits;
    if (waiting > maxOutboundBytes * 4) {
      this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too much waits for a peer that doesn't read", "outbound-queue");
    } else if (waiting > maxOutboundBytes && !this.#isPaused) {
      this.#isPaused = true;
      this.socket.pause();
    }
  }

  #writesSeen = 0;

  onBlocked(): void {
    if (this.#isOver || this.#watchdog.isArmed(Wait.writeStall)) return;
    this.#writesSeen = this.#output.writesDone;
    this.#watchdog.arm(Wait.writeStall, this.#limits.writeStallTimeoutMs);
  }

  onDrain(): void {
    this.#watchdog.disarm(Wait.writeStall);
    if (this.#isPaused) {
      this.#isPaused = false;
      this.socket.resume();
    }
    this.#sender.pump();
    if (!this.#isServer) this.#handler.onCapacity();
  }

  #onSocketEnd(): void {
    if (this.#isOver) return;
    if (this.#streams.size === 0) {
      this.#end(undefined);
      this.#output.end();
      return;
    }
    this.#onSocketGone(undefined);
    this.socket.destroy();
  }

  #onSocketGone(cause: Error | undefined): void {
    const wasOver = this.#isOver;
    if (!wasOver) {
      const isExpected = cause === undefined && this.#streams.size === 0;
      const error = isExpected
        ? undefined
        : new Http2Error(ErrorCode.INTERNAL_ERROR, cause === undefined ? "peer closed the connection" : cause.message, {
            connection: true,
            remote: true,
            cause,
          });
      this.#end(error);
      this.#report(error);
    }
    this.#watchdog.close();
    this.#output.isClosed = true;
    this.#report(undefined);
  }

  // === frames in

  onFrameHead(length: number, type: number, flags: number, streamId: number): boolean {
    if (this.#isOver) return false;
    if (length > this.#limits.maxFrameBytes) {
      return this.#fail(ErrorCode.FRAME_SIZE_ERROR, `frame of ${length} bytes`);
    }
    if (this.#blockStreamId !== 0 && (type !== FrameType.continuation || streamId !== this.#blockStreamId)) {
      return this.#fail(ErrorCode.PROTOCOL_ERROR, "a frame amid a header block");
    }
    if (!this.#isReady && (type !== FrameType.settings || (flags & FrameFlag.ack) !== 0)) {
      return this.#fail(ErrorCode.PROTOCOL_ERROR, "the first frame must be SETTINGS");
    }
    return true;
  }

  onBadPadding(): void {
    this.#fail(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame");
  }

  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FrameType.headers:
        this.#onHeaders(flags, streamId, bytes, start, end);
        break;
      case FrameType.continuation:
        this.#onContinuation(flags, streamId, bytes, start, end);
        break;
      case FrameType.windowUpdate:
        this.#onWindowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.rstStream:
        this.#onRstStream(streamId, bytes, start, end);
        break;
      case FrameType.ping:
        this.#onPing(flags, streamId, bytes, start, end);
        break;
      case FrameType.settings:
        this.#onSettings(flags, streamId, bytes, start, end);
        break;
      case FrameType.goaway:
        this.#onGoaway(streamId, bytes, start, end);
        break;
      case FrameType.priority:
        this.#onPriority(streamId, bytes, start, end);
        break;
      case FrameType.pushPromise:
        this.#fail(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE, which was not allowed");
        break;
      default:
        this.#countUseless();
    }
  }

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0");
    let from = start;
    let until = end;
    if ((flags & FrameFlag.padded) !== 0) {
      if (from >= until) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short");
      until -= bytes[from] as number;
      from += 1;
      if (until < from) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame");
    }
    this.#selfDependentId = 0;
    if ((flags & FrameFlag.priority) !== 0) {
      if (until - from < 5) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "HEADERS too short");
      if (readUint31(bytes, from) === streamId) this.#selfDependentId = streamId;
      from += 5;
    }
    if (from === until && !this.#countEmpty()) return;
    if ((flags & FrameFlag.endHeaders) !== 0) {
      this.#onBlock(streamId, (flags & FrameFlag.endStream) !== 0, bytes, from, until);
      return;
    }
    this.#blockStreamId = streamId;
    this.#blockFlags = flags;
    this.#blockFrames = 0;
    this.#blockBytes = 0;
    this.#keepBlock(bytes, from, until);
  }

  #onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (this.#blockStreamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS");
    this.#blockFrames += 1;
    if (this.#blockFrames > this.#limits.maxContinuationFrames) {
      return void this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "header block in too many frames", "continuation");
    }
    if (start === end && !this.#countEmpty()) return;
    if (!this.#keepBlock(bytes, start, end) || (flags & FrameFlag.endHeaders) === 0) return;
    this.#blockStreamId = 0;
    const block = this.#block;
    this.#block = noBytes;
    this.#onBlock(streamId, (this.#blockFlags & FrameFlag.endStream) !== 0, block, 0, this.#blockBytes);
  }

  #keepBlock(bytes: Buffer, start: number, end: number): boolean {
    const size = this.#blockBytes + end - start;
    // no text is longer in a sensible encoding than as it is, so a block over the list's limit is over it decoded, too
    if (size > this.#limits.maxHeaderListBytes) {
      return this.#fail(
        ErrorCode.ENHANCE_YOUR_CALM,
        `header block over ${this.#limits.maxHeaderListBytes} bytes`,
        "continuation",
      );
    }
    if (this.#block.length < size) {
      const larger = Buffer.allocUnsafeSlow(size * 2);
      this.#block.copy(larger, 0, 0, this.#blockBytes);
      this.#block = larger;
    }
    bytes.copy(this.#block, this.#blockBytes, start, end);
    this.#blockBytes = size;
    return true;
  }

  #onBlock(streamId: number, endStream: boolean, bytes: Buffer, start: number, end: number): void {
    // decoded whatever becomes of it: the dynamic table follows every block
    const section = this.#decoder.decode(bytes, start, end);
    if (section === undefined) {
      this.#fail(ErrorCode.COMPRESSION_ERROR, `header block: ${this.#decoder.problem}`);
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isServer) this.#onRequest(streamId, section, endStream);
      else if (this.#isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on an idle stream");
      else this.#onFrameOfClosed(streamId);
      return;
    }
    if (section.isOverLimit) {
      this.#failStream(stream, ErrorCode.ENHANCE_YOUR_CALM, "header list too large", "header-list");
    } else if (streamId === this.#selfDependentId) {
      this.#failStream(stream, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself");
    } else if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#failStream(stream, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM");
    } else if ((stream.flags & StreamFlag.headersReceived) === 0) {
      this.#onResponse(stream, section, endStream);
    } else {
      this.#onTrailers(stream, section, endStream);
    }
  }

  #onRequest(streamId: number, section: FieldSection, endStream: boolean): void {
    if ((streamId & 1) === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "a client's stream with an even id");
    if (streamId <= this.#lastPeerId) {
      if (this.#closedStreams.wasSkipped(streamId)) {
        this.#fail(ErrorCode.PROTOCOL_ERROR, "stream ids must grow");
      } else if (this.#closedStreams.endingOf(streamId) === Ending.normal) {
        this.#fail(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that both sides ended");
      } else {
        this.#onFrameOfClosed(streamId);
      }
      return;
    }
    this.#closedStreams.noteSkip(this.#lastPeerId, streamId);
    this.#lastPeerId = streamId;
    if (streamId > this.#lastAcceptedId) {
      this.#closedStreams.note(streamId, Ending.byUs);
      return;
    }
    if (section.isOverLimit) return void this.#refuse(streamId, ErrorCode.ENHANCE_YOUR_CALM);
    if (requestProblem(section) !== undefined || streamId === this.#selfDependentId) {
      return void this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    }
    if (endStream && section.contentLength > 0) return void this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    if (this.#streams.size >= this.#limits.maxConcurrentStreams)
      return void this.#refuse(streamId, ErrorCode.REFUSED_STREAM);
    const stream = new Http2Stream(streamId, this.#sender.initialWindow, undefined);
    stream.flags = StreamFlag.headersReceived | (endStream ? StreamFlag.remoteEnded : 0);
    stream.contentLeft = section.contentLength;
    this.#streams.add(stream);
    const handler = this.#handler.onStream(stream, section.list, endStream);
    stream.handler = handler;
    // answered or reset before its handler was known
    if ((stream.flags & StreamFlag.closed) !== 0) handler.onClose(stream.closeError);
  }

  /** Refuses a stream before it is one; counts like a reset that the peer provoked. */
  #refuse(streamId: number, code: number): void {
    this.#sender.sendRstStream(streamId, code);
    this.#closedStreams.note(streamId, Ending.byUs);
    this.#countReset();
  }

  #onResponse(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    const status = responseStatus(section);
    if (status < 0 || status === 101 || (status < 200 && endStream)) {
      this.#failStream(stream, ErrorCode.PROTOCOL_ERROR, "malformed response headers");
    } else if (status < 200) {
      this.#countEmpty();
    } else {
      stream.flags |= StreamFlag.headersReceived;
      // HEAD and 304 announce the length of a body that doesn't come
      if (!endStream) stream.contentLeft = section.contentLength;
      stream.handler?.onHeaders(section.list, endStream);
      if (endStream) this.#endRemote(stream);
    }
  }

  #onTrailers(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    if (!endStream || !areTrailers(section) || stream.contentLeft > 0) {
      this.#failStream(
        stream,
        ErrorCode.PROTOCOL_ERROR,
        endStream ? "malformed trailers" : "trailers without END_STREAM",
      );
      return;
    }
    stream.handler?.onHeaders(section.list, true);
    this.#endRemote(stream);
  }

  onDataHead(flags: number, streamId: number, length: number, padding: number): void {
    this.#dataStream = undefined;
    this.#dataEndsStream = (flags & FrameFlag.endStream) !== 0;
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0");
    if (!this.#receive.take(length)) {
      return void this.#fail(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window");
    }
    if (length === padding && !this.#dataEndsStream && !this.#countEmpty()) return;
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream");
      this.#receive.give(padding);
      this.#onFrameOfClosed(streamId);
      return;
    }
    if (padding > 0) this.#receive.give(padding);
    const size = length - padding;
    if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#failStream(stream, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM");
    } else if ((stream.flags & StreamFlag.headersReceived) === 0) {
      this.#failStream(stream, ErrorCode.PROTOCOL_ERROR, "DATA before HEADERS");
    } else if (!this.#receive.takeStream(stream, length)) {
      this.#failStream(stream, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the stream's window");
    } else if (stream.contentLeft >= 0 && !this.#countContent(stream, size)) {
      this.#failStream(stream, ErrorCode.PROTOCOL_ERROR, "body differs from content-length");
    } else {
      if (padding > 0) this.#receive.giveStream(stream, padding);
      this.#dataStream = stream;
    }
  }

  #countContent(stream: Http2Stream, size: number): boolean {
    stream.contentLeft -= size;
    return stream.contentLeft === 0 || (stream.contentLeft > 0 && !this.#dataEndsStream);
  }

  onDataPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const stream = this.#dataStream;
    if (stream === undefined || (stream.flags & StreamFlag.closed) !== 0) {
      if (end > start) this.#receive.give(end - start);
      return;
    }
    stream.unconsumed += end - start;
    const endStream = isLast && this.#dataEndsStream;
    if (endStream) {
      // known to the handler's own calls already: no window update for what can't come
      stream.flags |= StreamFlag.remoteEnded;
      stream.handler?.onData(bytes, start, end, true);
      if ((stream.flags & (StreamFlag.localEnded | StreamFlag.closed)) === StreamFlag.localEnded)
        this.#closeNormally(stream);
    } else if (end > start) {
      stream.handler?.onData(bytes, start, end, false);
    }
  }

  #onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE must have 4 bytes");
    const increment = readUint31(bytes, start);
    if (streamId === 0) {
      if (increment === 0) this.#fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
      else if (!this.#sender.openConnectionWindow(increment)) {
        this.#fail(ErrorCode.FLOW_CONTROL_ERROR, "connection window too large");
      }
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE on an idle stream");
      else this.#countUseless();
    } else if (increment === 0) {
      this.#failStream(stream, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    } else if (!this.#sender.openStreamWindow(stream, increment)) {
      this.#failStream(stream, ErrorCode.FLOW_CONTROL_ERROR, "stream window too large");
    }
  }

  #onRstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM must have 4 bytes");
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      if (this.#isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, "RST_STREAM on an idle stream");
      else this.#countUseless();
      return;
    }
    const code = readUint32(bytes, start);
    if (code === ErrorCode.NO_ERROR && !this.#isServer && (stream.flags & StreamFlag.remoteEnded) !== 0) {
      // the whole response is here; the server only doesn't want the rest of the request (RFC 9113 §8.1)
      this.#closeNormally(stream);
      return;
    }
    const error = new Http2Error(code, `peer reset the stream with ${errorCodeName(code)}`, {
      remote: true,
      unprocessed: code === ErrorCode.REFUSED_STREAM,
    });
    this.#closeStream(stream, error, Ending.byPeer);
    if (this.#isServer) this.#countReset();
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "PING on a stream");
    if (end - start !== 8) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "PING must have 8 bytes");
    const high = readUint32(bytes, start);
    const low = readUint32(bytes, start + 4);
    if ((flags & FrameFlag.ack) !== 0) return void this.#onPingAck(high, low);
    this.#noteProgress();
    const isIdle = !this.#hasSentSincePing;
    this.#hasSentSincePing = false;
    if (!this.#pingBudget.take() || this.#handler.onPing?.(isIdle) === false) {
      return void this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings", "ping-flood");
    }
    this.#sender.sendPing(FrameFlag.ack, high, low);
  }

  #onPingAck(high: number, low: number): void {
    if (high === pingProbe) {
      const streamWindow = this.#receive.onProbe();
      if (streamWindow > 0) this.#sendSettings([Setting.initialWindowSize, streamWindow]);
    } else if (high === pingDrain) {
      if (this.#watchdog.isArmed(Wait.drain)) this.#nameLastStream();
    } else {
      const at = high === pingOwner ? this.#pings.findIndex((ping) => ping.id === low) : -1;
      if (at < 0) return void this.#countUseless();
      const [ping] = this.#pings.splice(at, 1);
      ping?.onAck(this.#clock.now() - ping.sentAtMs);
    }
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (streamId !== 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream");
    if ((flags & FrameFlag.ack) !== 0) {
      if (length !== 0) this.#fail(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS acknowledgement with parameters");
      else this.#onSettingsAck();
      return;
    }
    if (length % 6 !== 0) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS of broken length");
    if (length > maxSettingsParameters * 6 || !this.#settingsBudget.take()) {
      return void this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many SETTINGS", "settings-flood");
    }
    for (let at = start; at < end; at += 6) {
      const parameter = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
      if (!this.#applySetting(parameter, readUint32(bytes, at + 2))) return;
    }
    this.#sender.sendSettings(FrameFlag.ack, []);
    this.#sender.pump();
    if (this.#isOver) return;
    if (!this.#isReady) {
      this.#isReady = true;
      this.#watchdog.disarm(Wait.preface);
    }
    this.#handler.onCapacity();
  }

  #applySetting(parameter: number, value: number): boolean {
    switch (parameter) {
      case Setting.headerTableSize:
        this.#sender.encoder.limitTable(value);
        return true;
      case Setting.enablePush:
        if (value > 1 || (value === 1 && !this.#isServer)) {
          return this.#fail(ErrorCode.PROTOCOL_ERROR, `SETTINGS_ENABLE_PUSH of ${value}`);
        }
        return true;
      case Setting.maxConcurrentStreams:
        this.#peerMaxStreams = value;
        return true;
      case Setting.initialWindowSize:
        if (value > maxWindowBytes || !this.#sender.setInitialWindow(value, this.#streams.toArray())) {
          return this.#fail(ErrorCode.FLOW_CONTROL_ERROR, `SETTINGS_INITIAL_WINDOW_SIZE of ${value}`);
        }
        return true;
      case Setting.maxFrameSize:
        if (value < minMaxFrameBytes || value > maxMaxFrameBytes) {
          return this.#fail(ErrorCode.PROTOCOL_ERROR, `SETTINGS_MAX_FRAME_SIZE of ${value}`);
        }
        this.#sender.maxFrameBytes = value;
        return true;
      default:
        return true;
    }
  }

  #sendSettings(parameters: readonly number[]): void {
    this.#sender.sendSettings(0, parameters);
    this.#settingsUnacked += 1;
    if (!this.#watchdog.isArmed(Wait.settings)) this.#watchdog.arm(Wait.settings, this.#limits.settingsTimeoutMs);
  }

  #onSettingsAck(): void {
    if (this.#settingsUnacked === 0) return void this.#countUseless();
    this.#settingsUnacked -= 1;
    // the first SETTINGS carried the table's size; a smaller one counts from here on
    this.#decoder.allowTableBytes(this.#limits.headerTableBytes);
    if (this.#settingsUnacked === 0) this.#watchdog.disarm(Wait.settings);
    else this.#watchdog.arm(Wait.settings, this.#limits.settingsTimeoutMs);
  }

  #onGoaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream");
    if (end - start < 8) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short");
    const lastId = readUint31(bytes, start);
    const code = readUint32(bytes, start + 4);
    const debug = bytes.toString("latin1", start + 8, Math.min(end, start + 8 + 256));
    if (this.#isPeerDraining && !this.#countEmpty()) return;
    this.#isPeerDraining = true;
    if (this.#isServer) {
      // a client's last id is about pushed streams, of which there are none; its requests go on
      this.#handler.onGoaway(code, debug);
      return;
    }
    for (const stream of this.#streams.toArray()) {
      if (stream.id <= lastId) continue;
      const message = `peer went away (${errorCodeName(code)}${debug === "" ? "" : `: ${debug}`}) before it took the stream`;
      this.#closeStream(stream, new Http2Error(code, message, { remote: true, unprocessed: true }), Ending.byUs);
    }
    if (this.#isOver) return;
    this.#handler.onGoaway(code, debug);
    this.#finishWhenIdle();
  }

  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0");
    const stream = this.#streams.get(streamId);
    const isBroken = end - start !== 5;
    if (isBroken || readUint31(bytes, start) === streamId) {
      const code = isBroken ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
      if (stream !== undefined) this.#failStream(stream, code, "broken PRIORITY");
      else this.#fail(code, "broken PRIORITY");
      return;
    }
    this.#countUseless();
  }

  /** HEADERS or DATA for a stream that is gone: late if we ended it, wrong if the peer had. */
  #onFrameOfClosed(streamId: number): void {
    const ending = this.#closedStreams.endingOf(streamId);
    if (this.#isServer && (ending === Ending.byPeer || ending === Ending.normal)) {
      this.#sender.sendRstStream(streamId, ErrorCode.STREAM_CLOSED);
      this.#countReset();
    } else if (this.#isServer && ending === Ending.unknown) {
      this.#countUseless();
    }
  }

  /** A stream that neither side has opened yet. */
  #isIdle(streamId: number): boolean {
    if (this.#isServer) return (streamId & 1) === 0 || streamId > this.#lastPeerId;
    return (streamId & 1) === 0 || streamId >= this.#nextId;
  }

  // === what a peer may not do too often

  #countEmpty(): boolean {
    if (this.#emptyBudget.take()) return true;
    return this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry nothing", "empty-frame-flood");
  }

  /** Some frames come along with every call, or race with its end: only without calls they are a flood. */
  #noteProgress(): void {
    if (this.#sender.framesSent === 0) return;
    this.#sender.framesSent = 0;
    this.#hasSentSincePing = true;
    this.#pingBudget.reset();
    this.#uselessBudget.reset();
  }

  #countUseless(): void {
    this.#noteProgress();
    if (this.#uselessBudget.take()) return;
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many frames to no purpose", "control-frame-flood");
  }

  #countReset(): void {
    if (this.#resetBudget.take()) return;
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset", "reset-flood");
  }

  // === streams end

  onLocalEnd(stream: Http2Stream): void {
    stream.flags |= StreamFlag.localEnded;
    if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#closeNormally(stream);
    } else if (this.#isServer) {
      this.#sender.sendRstStream(stream.id, ErrorCode.NO_ERROR);
      this.#resetBudget.giveBack();
      this.#closeStream(stream, undefined, Ending.byUs);
    }
  }

  onWindowBlocked(stream: Http2Stream): void {
    if (!this.#isServer || this.#watchdog.isArmed(Wait.windowStall)) return;
    const { windowStallTimeoutMs } = this.#limits;
    if (windowStallTimeoutMs === Number.POSITIVE_INFINITY) return;
    stream.blockedSinceMs = this.#clock.now();
    this.#watchdog.arm(Wait.windowStall, windowStallTimeoutMs / 4);
  }

  /** Looks for streams whose data has waited too long for a window; marks those that wait now. */
  #checkWindowStalls(): void {
    const now = this.#clock.now();
    const timeoutMs = this.#limits.windowStallTimeoutMs;
    let waiting = 0;
    for (const stream of this.#streams.toArray()) {
      if (stream.queuedBytes === 0) continue;
      if (stream.blockedSinceMs < 0) stream.blockedSinceMs = now;
      if (now - stream.blockedSinceMs < timeoutMs) waiting += 1;
      else
        this.#failStream(stream, ErrorCode.ENHANCE_YOUR_CALM, "the peer opens no window for its data", "window-stall");
    }
    if (waiting > 0 && !this.#isOver) this.#watchdog.arm(Wait.windowStall, timeoutMs / 4);
  }

  #endRemote(stream: Http2Stream): void {
    stream.flags |= StreamFlag.remoteEnded;
    if ((stream.flags & (StreamFlag.localEnded | StreamFlag.closed)) === StreamFlag.localEnded)
      this.#closeNormally(stream);
  }

  #closeNormally(stream: Http2Stream): void {
    this.#resetBudget.giveBack();
    this.#closeStream(stream, undefined, Ending.normal);
  }

  #closeStream(stream: Http2Stream, error: Http2Error | undefined, ending: number): void {
    stream.flags |= StreamFlag.closed;
    const wasFull = this.#streams.size >= this.#peerMaxStreams;
    this.#streams.delete(stream);
    if (this.#isServer) this.#closedStreams.note(stream.id, ending);
    if (stream.unconsumed > 0) this.#receive.give(stream.unconsumed);
    stream.queue = undefined;
    stream.trailersRest = undefined;
    if (stream.handler === undefined) stream.closeError = error;
    else stream.handler.onClose(error);
    if (wasFull && !this.#isOver) this.#handler.onCapacity();
    if ((this.#isDraining || this.#isPeerDraining) && this.#streams.size === 0) this.#finishWhenIdle();
  }

  /** A mistake of the peer that concerns one stream. */
  #failStream(stream: Http2Stream, code: number, message: string, limit?: LimitName): void {
    this.#sender.sendRstStream(stream.id, code);
    this.#closeStream(stream, new Http2Error(code, message, limit === undefined ? {} : { limit }), Ending.byUs);
    // also what we were made to reset: provoking resets is as cheap as sending them
    this.#countReset();
  }

  // === the connection ends

  /** A mistake of the peer that ends the connection. Returns false for the reader. */
  #fail(code: number, message: string, limit?: LimitName): false {
    if (this.#isOver) return false;
    this.#sender.sendGoaway(this.#isServer ? this.#lastPeerId : 0, code, message);
    const details: Http2ErrorDetails = limit === undefined ? { connection: true } : { connection: true, limit };
    const error = new Http2Error(code, message, details);
    this.#end(error);
    this.#output.end();
    this.#report(error);
    return false;
  }

  #finishWhenIdle(): void {
    if (this.#isOver || this.#streams.size > 0 || this.#watchdog.isArmed(Wait.drain)) return;
    if (this.#isServer && !this.#isDraining) return;
    if (!this.#isDraining) this.#sender.sendGoaway(0, ErrorCode.NO_ERROR, "");
    this.#end(undefined);
    this.#output.end();
  }

  /** The second step of a server's graceful end. */
  #nameLastStream(): void {
    this.#watchdog.disarm(Wait.drain);
    this.#lastAcceptedId = this.#lastPeerId;
    this.#sender.sendGoaway(this.#lastPeerId, ErrorCode.NO_ERROR, "");
    this.#finishWhenIdle();
  }

  /** Closes all streams and stops reading. What was sent still leaves; a peer that doesn't close the socket then has it destroyed. */
  #end(error: Http2Error | undefined): void {
    this.#isOver = true;
    this.#reader.isStopped = true;
    for (const stream of this.#streams.toArray()) {
      const ended = error ?? new Http2Error(ErrorCode.CANCEL, "connection closed", { connection: true });
      this.#closeStream(stream, ended, Ending.byUs);
    }
    this.#pings = [];
    this.#watchdog.close();
    if (this.#isPaused) this.socket.resume();
    this.#watchdog.arm(Wait.close, this.#limits.closeTimeoutMs);
  }

  #report(error: Http2Error | undefined): void {
    if (this.#closeReported) return;
    this.#closeReported = true;
    this.#handler.onClose(error);
  }

  #onDue(wait: number): void {
    switch (wait) {
      case Wait.preface:
        this.#fail(ErrorCode.PROTOCOL_ERROR, "no preface and SETTINGS in time", "preface-timeout");
        break;
      case Wait.settings:
        this.#fail(ErrorCode.SETTINGS_TIMEOUT, "SETTINGS not acknowledged in time", "settings-timeout");
        break;
      case Wait.windowStall:
        this.#checkWindowStalls();
        break;
      case Wait.writeStall:
        if (this.#output.writesDone === this.#writesSeen) {
          this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "the peer takes no bytes", "write-stall");
        } else if (this.#output.isBlocked) {
          this.#writesSeen = this.#output.writesDone;
          this.#watchdog.arm(Wait.writeStall, this.#limits.writeStallTimeoutMs);
        }
        break;
      case Wait.drain:
        this.#nameLastStream();
        break;
      case Wait.close:
        this.socket.destroy();
        break;
    }
  }
}
