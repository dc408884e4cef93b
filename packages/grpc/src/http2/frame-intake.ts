// Over 300 lines: every frame type has its rules, most of them a few lines that read the same state.
import type { ConnectionHandler } from "./connection-handler.ts";
import { ErrorCode, errorCodeName, Http2Error } from "./error.ts";
import { type Farewell, farewellTag } from "./farewell.ts";
import { FrameFlag, FrameType, readUint31, readUint32, Setting } from "./frame.ts";
import type { FrameSink } from "./frame-reader.ts";
import { HeaderBlock } from "./header-block.ts";
import type { HpackDecoder } from "./hpack/decoder.ts";
import type { FieldSection } from "./hpack/field-section.ts";
import { areTrailers, requestProblem, responseStatus } from "./message-rules.ts";
import type { Http2Limits } from "./options.ts";
import { Flood, type PeerConduct } from "./peer-conduct.ts";
import { type Pings, pingTag } from "./pings.ts";
import { probeTag, type ReceiveWindow } from "./receive-window.ts";
import type { Sender } from "./sender.ts";
import type { Fail, SettingsExchange } from "./settings-exchange.ts";
import { type Http2Stream, StreamFlag } from "./stream.ts";
import type { Streams } from "./streams.ts";

/** What frames are judged by and go to: the parts of a connection. */
export interface IntakeParts {
  readonly streams: Streams;
  readonly decoder: HpackDecoder;
  readonly conduct: PeerConduct;
  readonly settings: SettingsExchange;
  readonly pings: Pings;
  readonly farewell: Farewell;
  readonly handler: ConnectionHandler;
  readonly limits: Http2Limits;
  readonly fail: Fail;
}

/** The receiving side of one connection: judges each frame by its stream's state (RFC 9113 §5.1, §6) and hands on what it carries. */
export class FrameIntake implements FrameSink {
  readonly #isServer: boolean;
  readonly #streams: Streams;
  readonly #sender: Sender;
  readonly #receive: ReceiveWindow;
  readonly #decoder: HpackDecoder;
  readonly #conduct: PeerConduct;
  readonly #settings: SettingsExchange;
  readonly #pings: Pings;
  readonly #farewell: Farewell;
  readonly #handler: ConnectionHandler;
  readonly #limits: Http2Limits;
  readonly #fail: Fail;
  readonly #block: HeaderBlock;
  /** When the chunk that is being read arrived, once that was asked for. */
  #chunkMs = -1;
  // the DATA frame being read; undefined: nobody wants it
  #dataStream: Http2Stream | undefined;
  #dataEndsStream = false;

  constructor(parts: IntakeParts) {
    this.#isServer = parts.streams.isServer;
    this.#streams = parts.streams;
    this.#sender = parts.streams.sender;
    this.#receive = parts.streams.receive;
    this.#decoder = parts.decoder;
    this.#conduct = parts.conduct;
    this.#settings = parts.settings;
    this.#pings = parts.pings;
    this.#farewell = parts.farewell;
    this.#handler = parts.handler;
    this.#limits = parts.limits;
    this.#fail = parts.fail;
    this.#block = new HeaderBlock(parts.limits);
  }

  /** A chunk of bytes arrived. */
  onChunk(): void {
    this.#chunkMs = -1;
  }

  onFrameHead(length: number, type: number, flags: number, streamId: number): boolean {
    if (length > this.#limits.maxFrameBytes) {
      return this.#fail(ErrorCode.FRAME_SIZE_ERROR, `frame of ${length} bytes`);
    }
    const blockId = this.#block.streamId;
    if (blockId !== 0 && (type !== FrameType.continuation || streamId !== blockId)) {
      return this.#fail(ErrorCode.PROTOCOL_ERROR, "a frame amid a header block");
    }
    if (!this.#settings.isReady && (type !== FrameType.settings || (flags & FrameFlag.ack) !== 0)) {
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

  // === HEADERS and CONTINUATION

  #onHeaders(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0");
    const block = this.#block;
    if (!block.begin(flags, streamId, bytes, start, end)) return void this.#failBlock();
    // where the block goes on, its bytes are gathered from 0 on; empty either way
    if (block.start === block.end && !this.#countEmpty()) return;
    if (block.streamId === 0) this.#onBlock(streamId);
  }

  #onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block.streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS");
    if (!block.append(flags, bytes, start, end)) return void this.#failBlock();
    if (start === end && !this.#countEmpty()) return;
    if (block.streamId === 0) this.#onBlock(streamId);
  }

  #failBlock(): void {
    const { code, problem, limit } = this.#block;
    this.#fail(code, problem, limit);
  }

  #onBlock(streamId: number): void {
    const block = this.#block;
    const { endStream } = block;
    // decoded whatever becomes of it: the dynamic table follows every block
    const section = this.#decoder.decode(block.bytes, block.start, block.end);
    block.release();
    if (section === undefined) {
      this.#fail(ErrorCode.COMPRESSION_ERROR, `header block: ${this.#decoder.problem}`);
      return;
    }
    const stream = this.#streams.open.get(streamId);
    if (stream === undefined) {
      if (this.#isServer) this.#onRequest(streamId, section, endStream);
      else if (this.#streams.isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, "HEADERS on an idle stream");
    } else if (section.isOverLimit) {
      this.#streams.fail(stream, ErrorCode.ENHANCE_YOUR_CALM, "header list too large", "header-list");
    } else if (block.isSelfDependent) {
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, "a stream that depends on itself");
    } else if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#streams.fail(stream, ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM");
    } else if ((stream.flags & StreamFlag.headersReceived) === 0) {
      this.#onResponse(stream, section, endStream);
    } else {
      this.#onTrailers(stream, section, endStream);
    }
  }

  #onRequest(streamId: number, section: FieldSection, endStream: boolean): void {
    const streams = this.#streams;
    if ((streamId & 1) === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "a client's stream with an even id");
    if (streamId <= streams.lastPeerId) return void this.#onRequestOfClosed(streamId);
    if (!streams.admit(streamId)) return;
    if (section.isOverLimit) return void streams.refuse(streamId, ErrorCode.ENHANCE_YOUR_CALM);
    const isMalformed = requestProblem(section) !== undefined || (endStream && section.contentLength > 0);
    if (isMalformed || this.#block.isSelfDependent) return void streams.refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    if (streams.open.size >= this.#limits.maxConcurrentStreams) {
      return void streams.refuse(streamId, ErrorCode.REFUSED_STREAM);
    }
    // one look at the clock for all requests that came together
    if (this.#chunkMs < 0) this.#chunkMs = this.#conduct.now();
    const flags = StreamFlag.headersReceived | (endStream ? StreamFlag.remoteEnded : 0);
    const stream = streams.accept(streamId, flags, section.contentLength, this.#chunkMs);
    const handler = this.#handler.onStream(stream, section.list, endStream);
    stream.handler = handler;
    // answered or reset before its handler was known
    if ((stream.flags & StreamFlag.closed) !== 0) handler.onClose(stream.closeError);
  }

  #onRequestOfClosed(streamId: number): void {
    if (this.#streams.wasSkipped(streamId)) {
      this.#fail(ErrorCode.PROTOCOL_ERROR, "stream ids must grow");
    } else if (this.#streams.wasFinished(streamId)) {
      this.#fail(ErrorCode.STREAM_CLOSED, "HEADERS on a stream that both sides ended");
    } else if (this.#streams.onFrameOfClosed(streamId)) {
      this.#countUseless();
    }
  }

  #onResponse(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    const status = responseStatus(section);
    if (status < 0 || status === 101 || (status < 200 && endStream)) {
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, "malformed response headers");
    } else if (status < 200) {
      this.#countEmpty();
    } else {
      stream.flags |= StreamFlag.headersReceived;
      // HEAD and 304 announce the length of a body that doesn't come
      if (!endStream) stream.contentLeft = section.contentLength;
      stream.handler?.onHeaders(section.list, endStream);
      if (endStream) this.#streams.endRemote(stream);
    }
  }

  #onTrailers(stream: Http2Stream, section: FieldSection, endStream: boolean): void {
    if (!endStream || !areTrailers(section) || stream.contentLeft > 0) {
      const problem = endStream ? "malformed trailers" : "trailers without END_STREAM";
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, problem);
      return;
    }
    stream.handler?.onHeaders(section.list, true);
    this.#streams.endRemote(stream);
  }

  // === DATA

  onDataHead(flags: number, streamId: number, length: number, padding: number): void {
    this.#dataStream = undefined;
    this.#dataEndsStream = (flags & FrameFlag.endStream) !== 0;
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0");
    const receive = this.#receive;
    if (!receive.take(length)) {
      return void this.#fail(ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the connection's window");
    }
    if (length === padding && !this.#dataEndsStream && !this.#countEmpty()) return;
    const stream = this.#streams.open.get(streamId);
    if (stream === undefined) {
      if (this.#streams.isIdle(streamId)) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "DATA on an idle stream");
      receive.give(padding);
      if (this.#streams.onFrameOfClosed(streamId)) this.#countUseless();
      return;
    }
    if (padding > 0) receive.give(padding);
    if ((stream.flags & StreamFlag.remoteEnded) !== 0) {
      this.#streams.fail(stream, ErrorCode.STREAM_CLOSED, "DATA after END_STREAM");
    } else if ((stream.flags & StreamFlag.headersReceived) === 0) {
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, "DATA before HEADERS");
    } else if (!receive.takeStream(stream, length)) {
      this.#streams.fail(stream, ErrorCode.FLOW_CONTROL_ERROR, "DATA beyond the stream's window");
    } else if (stream.contentLeft >= 0 && !this.#countContent(stream, length - padding)) {
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, "body differs from content-length");
    } else {
      if (padding > 0) receive.giveStream(stream, padding);
      this.#dataStream = stream;
    }
  }

  #countContent(stream: Http2Stream, size: number): boolean {
    stream.contentLeft -= size;
    return stream.contentLeft === 0 || (stream.contentLeft > 0 && !this.#dataEndsStream);
  }

  onDataPiece(bytes: Buffer, start: number, end: number, isLast: boolean): void {
    const stream = this.#dataStream;
    // a stream that is over must not live as long as its connection
    if (isLast) this.#dataStream = undefined;
    if (stream === undefined || (stream.flags & StreamFlag.closed) !== 0) {
      if (end > start) this.#receive.give(end - start);
      return;
    }
    stream.unconsumed += end - start;
    if (isLast && this.#dataEndsStream) {
      // known to the handler's own calls already: no window update for what can't come
      stream.flags |= StreamFlag.remoteEnded;
      stream.handler?.onData(bytes, start, end, true);
      this.#streams.endRemote(stream);
    } else if (end > start) {
      stream.handler?.onData(bytes, start, end, false);
    }
  }

  // === the other frames

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
    const stream = this.#streams.open.get(streamId);
    if (stream === undefined) {
      this.#onControlOfClosed(streamId, "WINDOW_UPDATE on an idle stream");
    } else if (increment === 0) {
      this.#streams.fail(stream, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
    } else if (!this.#sender.openStreamWindow(stream, increment)) {
      this.#streams.fail(stream, ErrorCode.FLOW_CONTROL_ERROR, "stream window too large");
    }
  }

  #onRstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (end - start !== 4) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM must have 4 bytes");
    const stream = this.#streams.open.get(streamId);
    if (stream === undefined) return void this.#onControlOfClosed(streamId, "RST_STREAM on an idle stream");
    const code = readUint32(bytes, start);
    const error = new Http2Error(code, `peer reset the stream with ${errorCodeName(code)}`, {
      remote: true,
      unprocessed: code === ErrorCode.REFUSED_STREAM,
    });
    this.#streams.onPeerReset(stream, code, error);
  }

  #onControlOfClosed(streamId: number, problem: string): void {
    if (this.#streams.isIdle(streamId)) this.#fail(ErrorCode.PROTOCOL_ERROR, problem);
    else this.#countUseless();
  }

  #onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "PING on a stream");
    if (end - start !== 8) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "PING must have 8 bytes");
    const high = readUint32(bytes, start);
    const low = readUint32(bytes, start + 4);
    if ((flags & FrameFlag.ack) !== 0) return void this.#onPingAck(high, low);
    const isAllowed = this.#conduct.take(Flood.ping, this.#sender);
    const isIdle = this.#conduct.wasIdleSincePing();
    if (!isAllowed || this.#handler.onPing?.(isIdle) === false) {
      return void this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings", "ping-flood");
    }
    this.#sender.sendPing(FrameFlag.ack, high, low);
  }

  #onPingAck(tag: number, id: number): void {
    if (tag === probeTag) {
      const streamWindow = this.#receive.onProbe();
      if (streamWindow > 0) this.#settings.send([Setting.initialWindowSize, streamWindow]);
    } else if (tag === farewellTag) {
      this.#farewell.onPingAck();
    } else if (tag !== pingTag || !this.#pings.onAck(id)) {
      this.#countUseless();
    }
  }

  #onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    if (!this.#settings.onFrame(flags, streamId, bytes, start, end)) return;
    this.#sender.pump();
    this.#handler.onCapacity();
  }

  #onGoaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId !== 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream");
    if (end - start < 8) return void this.#fail(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short");
    if (!this.#farewell.isHeard || this.#countEmpty()) this.#farewell.onFrame(bytes, start, end);
  }

  #onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    if (streamId === 0) return void this.#fail(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0");
    const isBroken = end - start !== 5;
    if (!isBroken && readUint31(bytes, start) !== streamId) return void this.#countUseless();
    const code = isBroken ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
    const stream = this.#streams.open.get(streamId);
    if (stream !== undefined) this.#streams.fail(stream, code, "broken PRIORITY");
    else this.#fail(code, "broken PRIORITY");
  }

  #countEmpty(): boolean {
    if (this.#conduct.take(Flood.empty, this.#sender)) return true;
    return this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry nothing", "empty-frame-flood");
  }

  #countUseless(): void {
    if (this.#conduct.take(Flood.useless, this.#sender)) return;
    this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too many frames to no purpose", "control-frame-flood");
  }
}
