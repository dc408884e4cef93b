// HTTP/2 over any Duplex, either role (RFC 9113). A frame passes few objects, and no promise, emitter, closure or timer:
//
//     socket → FrameReader → FrameIntake → StreamHandler (the owner's calls)
//                               │  HeaderBlock, HpackDecoder, ReceiveWindow, PeerConduct, SettingsExchange, Pings, Farewell
//                            Streams
//     socket ← Output ← Sender ─┘  HpackEncoder, send windows, queues
//
// Over 300 lines for its contract's sake: what an owner may call is documented here.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { AnswerTime } from "./answer-time.ts";
import { BusyPoll, processLoop } from "./busy-poll.ts";
import { Ending } from "./closed-streams.ts";
import type { ConnectionHandler } from "./connection-handler.ts";
import { ErrorCode, errorCodeName, Http2Error, type Http2ErrorDetails, type LimitName } from "./error.ts";
import { Farewell, type FarewellOwner } from "./farewell.ts";
import { clientPreface, maxStreamId } from "./frame.ts";
import { FrameIntake } from "./frame-intake.ts";
import { FrameReader } from "./frame-reader.ts";
import type { HeaderList, HeaderTemplate } from "./headers.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { defaultLimits, type Http2Limits, type Http2Options, systemClock } from "./options.ts";
import { Output, type OutputOwner } from "./output.ts";
import { PeerConduct } from "./peer-conduct.ts";
import { Pings } from "./pings.ts";
import { type Fail, SettingsExchange } from "./settings-exchange.ts";
import type { SocketReader } from "./socket-reader.ts";
import { StallWatch } from "./stall-watch.ts";
import { type Http2Stream, StreamFlag, type StreamHandler } from "./stream.ts";
import { Streams, type StreamsOwner } from "./streams.ts";
import { Wait, Watchdog } from "./watchdog.ts";

export type { ConnectionHandler } from "./connection-handler.ts";

const sendingIsOver = StreamFlag.closed | StreamFlag.localEnded | StreamFlag.endQueued;

/**
 * One HTTP/2 connection. Owns the socket: it ends or destroys it.
 *
 * A peer's mistakes end streams or the connection by the RFC's rules and never throw; a caller's mistakes (fields that can't be
 * sent, a request while `canOpenStream` is false) throw and change nothing.
 */
export class Http2Connection implements StreamsOwner, OutputOwner, FarewellOwner {
  readonly role: "client" | "server";
  readonly socket: Duplex;
  readonly #isServer: boolean;
  readonly #handler: ConnectionHandler;
  readonly #limits: Http2Limits;
  readonly #output: Output;
  readonly #streams: Streams;
  readonly #answerTime: AnswerTime;
  readonly #settings: SettingsExchange;
  readonly #pings: Pings;
  readonly #farewell: Farewell;
  readonly #stalls: StallWatch;
  readonly #intake: FrameIntake;
  readonly #reader: FrameReader;
  readonly #watchdog: Watchdog;
  readonly #busyPoll: BusyPoll | undefined;

  #prefaceAt: number;
  /** No more input is looked at, no more output made. */
  #isOver = false;
  #closeReported = false;
  /** Server: the last request when this side had last said all it had to say. */
  #answeredId = 0;
  #isFeeding = false;
  #waitingChunks: Buffer[] | undefined;

  constructor(socket: Duplex, role: "client" | "server", handler: ConnectionHandler, options: Http2Options = {}) {
    const limits = options.limits === undefined ? defaultLimits : { ...defaultLimits, ...options.limits };
    const clock = options.clock ?? systemClock;
    this.socket = socket;
    this.role = role;
    this.#isServer = role === "server";
    this.#handler = handler;
    this.#limits = limits;
    this.#prefaceAt = this.#isServer ? 0 : clientPreface.length;
    const fail: Fail = (code, message, limit) => this.#fail(code, message, limit);
    const conduct = new PeerConduct(limits, clock);
    this.#answerTime = new AnswerTime(clock);
    const output = new Output(socket, this);
    const streams = new Streams(this.#isServer, output, limits, conduct, this.#answerTime, this);
    const decoder = new HpackDecoder(limits.maxHeaderListBytes);
    const watchdog = new Watchdog(clock, (wait) => this.#onDue(wait));
    const loop = options.busyPoll ?? processLoop;
    this.#busyPoll = loop === false ? undefined : new BusyPoll(loop);
    this.#output = output;
    this.#streams = streams;
    this.#watchdog = watchdog;
    this.#settings = new SettingsExchange(streams, decoder, conduct, watchdog, limits, fail);
    this.#pings = new Pings(streams.sender, clock);
    this.#farewell = new Farewell(streams, watchdog, limits.closeTimeoutMs, this);
    this.#stalls = new StallWatch(socket, output, streams, conduct, limits, watchdog, fail);
    this.#intake = new FrameIntake({
      streams,
      decoder,
      conduct,
      settings: this.#settings,
      pings: this.#pings,
      farewell: this.#farewell,
      handler,
      limits,
      fail,
    });
    this.#reader = new FrameReader(this.#intake);
    this.#open(options.reader);
  }

  #open(reader: SocketReader | undefined): void {
    const { socket } = this;
    if (socket instanceof Socket) socket.setNoDelay(true);
    socket.on("error", (cause: Error) => this.#onSocketGone(cause));
    socket.on("end", () => this.#onSocketEnd());
    socket.on("close", () => this.#onSocketGone(undefined));
    if (!this.#isServer) {
      const at = this.#output.reserve(clientPreface.length);
      clientPreface.copy(this.#output.slab, at);
      this.#output.advance(at + clientPreface.length);
    }
    this.#settings.announce();
    this.#streams.receive.announce();
    this.#watchdog.arm(Wait.preface, this.#limits.prefaceTimeoutMs);
    if (reader === undefined) socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    else reader.attach((chunk) => this.#onChunk(chunk));
  }

  /** Client: a `request` would be sent now: no GOAWAY, below the peer's limit, ids left, the peer takes bytes. */
  get canOpenStream(): boolean {
    return (
      !this.#isServer &&
      !this.#isOver &&
      !this.#farewell.isUnderWay &&
      this.#streams.hasRoom &&
      this.#output.controlBytes <= this.#limits.maxOutboundBytes
    );
  }

  get openStreams(): number {
    return this.#streams.open.size;
  }

  /** What the peer may send on a stream before anything is consumed of it. */
  get receiveWindowBytes(): number {
    return this.#streams.receive.streamWindow;
  }

  /** The peer's SETTINGS are here. */
  get isReady(): boolean {
    return this.#settings.isReady;
  }

  /** Nothing can be sent or received any more. */
  get isClosed(): boolean {
    return this.#isOver;
  }

  // === what the owner asks for

  /** Opens a stream; only while `canOpenStream`. `isSendable`: the caller has judged what is in `rest`, by rules no laxer than `field-rules.ts`. */
  request(
    handler: StreamHandler,
    head: HeaderTemplate,
    rest: HeaderList,
    endStream: boolean,
    isSendable = false,
  ): Http2Stream {
    if (!this.canOpenStream) throw new Error("connection can't open a stream now");
    const streams = this.#streams;
    const { sender } = streams;
    // before anything changes: it throws
    const maxBytes = isSendable ? sender.maxBlockBytes(head, rest) : sender.assertSendable(head, rest);
    if (!sender.isWithinPeerLimit(head, rest, maxBytes)) {
      throw new RangeError(`the headers are larger than the ${sender.maxListBytes} bytes that the peer takes`);
    }
    const stream = streams.add(handler);
    sender.sendSendable(stream, head, rest, maxBytes, endStream);
    if (streams.nextId > maxStreamId) this.#handler.onGoaway(ErrorCode.NO_ERROR, "stream ids are used up");
    return stream;
  }

  /**
   * Response headers, or trailers with `endStream`; these wait behind data that is still queued. On a stream that is over it does
   * nothing: the owner heard of it by `onClose`. Larger ones than the peer takes end the stream with INTERNAL_ERROR.
   *
   * A server that has answered has no use for the rest of the request: if that is still coming, the stream is reset with NO_ERROR.
   */
  sendHeaders(stream: Http2Stream, head: HeaderTemplate | undefined, rest: HeaderList, endStream: boolean): void {
    if ((stream.flags & sendingIsOver) !== 0) return;
    const { sender } = this.#streams;
    const maxBytes = sender.assertSendable(head, rest);
    if (sender.isWithinPeerLimit(head, rest, maxBytes)) {
      sender.sendSendable(stream, head, rest, maxBytes, endStream);
      return;
    }
    sender.sendRstStream(stream.id, ErrorCode.INTERNAL_ERROR);
    const message = `the headers are larger than the ${sender.maxListBytes} bytes that the peer takes`;
    const error = new Http2Error(ErrorCode.INTERNAL_ERROR, message, { limit: "peer-header-list" });
    this.#streams.close(stream, error, Ending.byUs);
  }

  /**
   * Sends `prefix` and `body` as DATA, or queues what the peer's windows or the socket don't take; false above the high-water
   * mark (then wait for `onWritable`). `prefix` may be used again at once; a body of 16 KiB or more must not change until sent.
   */
  write(stream: Http2Stream, prefix: Uint8Array | undefined, body: Uint8Array, endStream: boolean): boolean {
    if ((stream.flags & sendingIsOver) !== 0) return true;
    return this.#streams.sender.write(stream, prefix, body, endStream);
  }

  /** The owner is done with `bytes` that `onData` gave it: the peer may send as many again. What a closed stream had is returned by itself. */
  consume(stream: Http2Stream, bytes: number): void {
    if (bytes <= 0 || (stream.flags & StreamFlag.closed) !== 0) return;
    const count = Math.min(bytes, stream.unconsumed);
    const { receive } = this.#streams;
    stream.unconsumed -= count;
    receive.giveStream(stream, count);
    receive.give(count);
  }

  /** Ends a stream at once; its handler hears of it by `onClose` before this returns. */
  reset(stream: Http2Stream, code: number): void {
    if ((stream.flags & StreamFlag.closed) !== 0) return;
    this.#streams.sender.sendRstStream(stream.id, code);
    const error = new Http2Error(code, `stream reset here with ${errorCodeName(code)}`);
    this.#streams.close(stream, error, Ending.byUs);
  }

  /** Calls `onAck` with the round trip's time, unless the connection ends before. */
  ping(onAck: (rttMs: number) => void): void {
    if (!this.#isOver) this.#pings.send(onAck);
  }

  /**
   * Announces the end, lets open streams finish, then closes the socket. A server without `code` first announces it without
   * refusing what is under way, and only a round trip later names the last stream it takes (RFC 9113 §6.8).
   */
  goaway(code: number = ErrorCode.NO_ERROR, debug = ""): void {
    if (!this.#isOver) this.#farewell.say(code, debug);
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
    if (error === undefined) this.#report(undefined);
    else this.#report(new Http2Error(ErrorCode.INTERNAL_ERROR, error.message, { connection: true, cause: error }));
  }

  // === bytes in

  #onChunk(chunk: Buffer): void {
    if (this.#isOver) return;
    this.#busyPoll?.onReceived();
    if (this.#isFeeding) {
      // a Duplex that delivers while we are called back: keep the order
      this.#waitingChunks ??= [];
      this.#waitingChunks.push(Buffer.from(chunk));
      return;
    }
    this.#isFeeding = true;
    let next: Buffer | undefined = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk);
    while (next !== undefined && !this.#isOver) {
      const from: number = this.#prefaceAt < clientPreface.length ? this.#readPreface(next) : 0;
      this.#intake.onChunk();
      if (from >= 0) this.#reader.feed(next, from);
      next = this.#waitingChunks?.shift();
    }
    this.#isFeeding = false;
    if (this.#output.isBlocked && !this.#isOver) this.#stalls.checkOutbound();
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

  #onSocketEnd(): void {
    if (this.#isOver) return;
    if (this.openStreams === 0) {
      this.onFarewellDone();
      return;
    }
    this.#onSocketGone(undefined);
    this.socket.destroy();
  }

  #onSocketGone(cause: Error | undefined): void {
    if (!this.#isOver) {
      const isExpected = cause === undefined && this.openStreams === 0;
      const message = cause === undefined ? "peer closed the connection" : cause.message;
      const details: Http2ErrorDetails = { connection: true, remote: true, cause };
      const error = isExpected ? undefined : new Http2Error(ErrorCode.INTERNAL_ERROR, message, details);
      this.#end(error);
      this.#report(error);
    }
    this.#watchdog.close();
    this.#output.isClosed = true;
    this.#report(undefined);
  }

  // === as the owner of its parts

  get isPeerSlow(): boolean {
    return this.#answerTime.isLong;
  }

  onTurnSent(): void {
    const { open, lastPeerId, nextId } = this.#streams;
    this.#answerTime.onTurnSent(nextId);
    const isOneCall = open.size <= 1 && (this.#isServer ? lastPeerId - this.#answeredId <= 2 : open.size === 1);
    this.#answeredId = lastPeerId;
    // With more under way sleeping is better: what comes in the meantime is taken together.
    if (isOneCall) this.#busyPoll?.onSent();
  }

  onBlocked(): void {
    if (!this.#isOver) this.#stalls.onBlocked();
  }

  onDrain(): void {
    this.#stalls.onDrain();
    this.#streams.sender.pump();
    if (!this.#isServer) this.#handler.onCapacity();
  }

  onRoom(): void {
    if (!this.#isOver) this.#handler.onCapacity();
  }

  onEmpty(): void {
    if (!this.#isOver && this.#farewell.isUnderWay) this.#farewell.finishWhenEmpty();
  }

  onTooManyResets(): void {
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset", "reset-flood");
  }

  onWindowBlocked(stream: Http2Stream): void {
    this.#stalls.onWindowBlocked(stream);
  }

  onPeerGoaway(code: number, debug: string): void {
    if (!this.#isOver) this.#handler.onGoaway(code, debug);
  }

  onFarewellDone(): void {
    if (this.#isOver) return;
    this.#end(undefined);
    this.#output.end();
  }

  // === the connection ends

  /** A mistake of the peer that ends the connection. Returns false for the reader. */
  #fail(code: number, message: string, limit?: LimitName): false {
    if (this.#isOver) return false;
    this.#streams.sender.sendGoaway(this.#isServer ? this.#streams.lastPeerId : 0, code, message);
    const details: Http2ErrorDetails = limit === undefined ? { connection: true } : { connection: true, limit };
    const error = new Http2Error(code, message, details);
    this.#end(error);
    this.#output.end();
    this.#report(error);
    return false;
  }

  /** Closes all streams and stops reading. What was sent still leaves; a peer that doesn't close the socket then has it destroyed. */
  #end(error: Http2Error | undefined): void {
    this.#isOver = true;
    this.#reader.isStopped = true;
    this.#streams.closeAll(error ?? new Http2Error(ErrorCode.CANCEL, "connection closed", { connection: true }));
    this.#pings.clear();
    this.#watchdog.close();
    this.#stalls.resume();
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
        this.#stalls.onWindowStallDue();
        break;
      case Wait.writeStall:
        this.#stalls.onWriteStallDue();
        break;
      case Wait.drain:
        this.#farewell.nameLastStream();
        break;
      case Wait.close:
        this.socket.destroy();
        break;
    }
  }
}
