import type { AnswerTime } from "./answer-time.ts";
import { ClosedStreams, Ending } from "./closed-streams.ts";
import { ErrorCode, Http2Error, type LimitName } from "./error.ts";
import { maxStreamId } from "./frame.ts";
import type { Http2Limits } from "./options.ts";
import type { Output } from "./output.ts";
import type { PeerConduct } from "./peer-conduct.ts";
import { ReceiveWindow } from "./receive-window.ts";
import { Sender, type SenderOwner } from "./sender.ts";
import { Http2Stream, StreamFlag, type StreamHandler } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What the streams of a connection tell it. */
export interface StreamsOwner {
  /** A stream may be opened where the peer's limit had been reached. */
  onRoom(): void;
  /** The last open stream ended. */
  onEmpty(): void;
  /** The peer broke off more streams than it may. */
  onTooManyResets(): void;
  onWindowBlocked(stream: Http2Stream): void;
}

/** The streams of one connection: which ids are open, idle or closed (RFC 9113 §5.1), and how each ends. */
export class Streams implements SenderOwner {
  readonly isServer: boolean;
  readonly sender: Sender;
  readonly receive: ReceiveWindow;
  readonly open = new StreamTable();
  readonly #closed = new ClosedStreams();
  readonly #conduct: PeerConduct;
  readonly #answerTime: AnswerTime;
  readonly #earlyResetMs: number;
  readonly #owner: StreamsOwner;
  /** Streams that the peer allows us to have open. */
  peerMax = Number.POSITIVE_INFINITY;
  /** Client: the next request's id. */
  nextId = 1;
  lastPeerId = 0;
  /** Streams of the peer above this one are not processed any more. */
  lastAcceptedId = maxStreamId;

  constructor(
    isServer: boolean,
    output: Output,
    limits: Http2Limits,
    conduct: PeerConduct,
    answerTime: AnswerTime,
    owner: StreamsOwner,
  ) {
    this.isServer = isServer;
    this.#answerTime = answerTime;
    this.#conduct = conduct;
    this.#owner = owner;
    this.#earlyResetMs = limits.earlyResetMs;
    this.sender = new Sender(output, this, limits);
    this.receive = new ReceiveWindow(this.sender, limits);
  }

  /** The peer and the protocol have an id for another stream of ours. */
  get hasRoom(): boolean {
    return this.open.size < this.peerMax && this.nextId <= maxStreamId;
  }

  /** Opens a stream of ours. */
  add(handler: StreamHandler): Http2Stream {
    const stream = new Http2Stream(this.nextId, this.sender.initialWindow, handler);
    this.nextId += 2;
    this.open.add(stream);
    return stream;
  }

  /** Opens a stream of the peer, whose handler isn't known yet. */
  accept(id: number, flags: number, contentLength: number, openedAtMs: number): Http2Stream {
    const stream = new Http2Stream(id, this.sender.initialWindow, undefined);
    stream.flags = flags;
    stream.contentLeft = contentLength;
    stream.openedAtMs = openedAtMs;
    this.open.add(stream);
    return stream;
  }

  /** The peer opens `id`, larger than all before; false when it is not looked at because the connection ends. */
  admit(id: number): boolean {
    this.#closed.noteSkip(this.lastPeerId, id);
    this.lastPeerId = id;
    if (id <= this.lastAcceptedId) return true;
    this.#closed.note(id, Ending.byUs);
    return false;
  }

  /** A stream that neither side has opened yet. */
  isIdle(id: number): boolean {
    if ((id & 1) === 0) return true;
    return this.isServer ? id > this.lastPeerId : id >= this.nextId;
  }

  /** An id that the peer left out: closed without ever having been a stream. */
  wasSkipped(id: number): boolean {
    return this.#closed.wasSkipped(id);
  }

  /** Both sides had ended it, as far as is remembered. */
  wasFinished(id: number): boolean {
    return this.#closed.endingOf(id) === Ending.normal;
  }

  /** HEADERS or DATA for a stream that is gone: late if we ended it, wrong if the peer had; true when nothing is remembered of it. */
  onFrameOfClosed(id: number): boolean {
    if (!this.isServer) return false;
    const ending = this.#closed.endingOf(id);
    if (ending === Ending.unknown) return true;
    if (ending === Ending.byUs) return false;
    this.sender.sendRstStream(id, ErrorCode.STREAM_CLOSED);
    this.#countReset();
    return false;
  }

  /** Refuses a stream before it is one; counts like a reset that the peer provoked. */
  refuse(id: number, code: number): void {
    this.sender.sendRstStream(id, code);
    this.#closed.note(id, Ending.byUs);
    this.#countReset();
  }

  onLocalEnd(stream: Http2Stream): void {
    stream.flags |= StreamFlag.localEnded;
    if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#finish(stream);
    } else if (this.isServer) {
      this.sender.sendRstStream(stream.id, ErrorCode.NO_ERROR);
      this.#conduct.payBackReset();
      this.close(stream, undefined, Ending.byUs);
    }
  }

  onWindowBlocked(stream: Http2Stream): void {
    this.#owner.onWindowBlocked(stream);
  }

  /** END_STREAM of the peer is here. */
  endRemote(stream: Http2Stream): void {
    stream.flags |= StreamFlag.remoteEnded;
    if ((stream.flags & (StreamFlag.localEnded | StreamFlag.closed)) === StreamFlag.localEnded) this.#finish(stream);
  }

  /** RST_STREAM of the peer. Counted when it came soon: opening streams only to reset them is an attack, giving up on one is not. */
  onPeerReset(stream: Http2Stream, code: number, error: Http2Error): void {
    if (code === ErrorCode.NO_ERROR && !this.isServer && (stream.flags & StreamFlag.remoteEnded) !== 0) {
      // the whole response is here; the server only doesn't want the rest of the request (RFC 9113 §8.1)
      this.#finish(stream);
      return;
    }
    const isEarly = this.isServer && this.#conduct.now() - stream.openedAtMs < this.#earlyResetMs;
    this.close(stream, error, Ending.byPeer);
    if (isEarly) this.#countReset();
  }

  /** Ends a stream for a mistake of the peer that concerns no other. */
  fail(stream: Http2Stream, code: number, message: string, limit?: LimitName): void {
    this.sender.sendRstStream(stream.id, code);
    this.close(stream, new Http2Error(code, message, limit === undefined ? {} : { limit }), Ending.byUs);
    // also what we were made to reset: provoking resets is as cheap as sending them
    this.#countReset();
  }

  close(stream: Http2Stream, error: Http2Error | undefined, ending: number): void {
    stream.flags |= StreamFlag.closed;
    const { open } = this;
    const wasFull = open.size >= this.peerMax;
    open.delete(stream);
    if (this.isServer) this.#closed.note(stream.id, ending);
    else this.#answerTime.onStreamEnd(stream.id);
    if (stream.unconsumed > 0) this.receive.give(stream.unconsumed);
    stream.queue = undefined;
    stream.trailersRest = undefined;
    if (stream.handler === undefined) stream.closeError = error;
    else stream.handler.onClose(error);
    if (wasFull) this.#owner.onRoom();
    if (open.size === 0) this.#owner.onEmpty();
  }

  /** The connection ends: so do all streams. */
  closeAll(error: Http2Error): void {
    for (const stream of this.open.toArray()) this.close(stream, error, Ending.byUs);
  }

  #finish(stream: Http2Stream): void {
    this.#conduct.payBackReset();
    this.close(stream, undefined, Ending.normal);
  }

  #countReset(): void {
    if (!this.#conduct.takeReset()) this.#owner.onTooManyResets();
  }
}
