import { Ending } from "./closed-streams.ts";
import { ErrorCode, errorCodeName, Http2Error } from "./error.ts";
import { maxStreamId, readUint31, readUint32 } from "./frame.ts";
import type { Streams } from "./streams.ts";
import { Wait, type Watchdog } from "./watchdog.ts";

/** First word of the PING between a server's two GOAWAYs. */
export const farewellTag = 0x77656676;

/** What a farewell does to its connection. */
export interface FarewellOwner {
  /** The peer said goodbye. */
  onPeerGoaway(code: number, debug: string): void;
  /** Nothing is open any more: the connection closes. */
  onFarewellDone(): void;
}

/** GOAWAY both ways: a connection that ends when its open streams have ended (RFC 9113 §6.8). */
export class Farewell {
  readonly #streams: Streams;
  readonly #watchdog: Watchdog;
  readonly #closeTimeoutMs: number;
  readonly #owner: FarewellOwner;
  /** This side announced the end. */
  #isSaid = false;
  /** The peer did. */
  isHeard = false;

  constructor(streams: Streams, watchdog: Watchdog, closeTimeoutMs: number, owner: FarewellOwner) {
    this.#streams = streams;
    this.#watchdog = watchdog;
    this.#closeTimeoutMs = closeTimeoutMs;
    this.#owner = owner;
  }

  /** Either side announced the end: no new streams. */
  get isUnderWay(): boolean {
    return this.#isSaid || this.isHeard;
  }

  say(code: number, debug: string): void {
    if (this.#isSaid) return;
    this.#isSaid = true;
    const streams = this.#streams;
    if (streams.isServer && code === ErrorCode.NO_ERROR) {
      streams.sender.sendGoaway(maxStreamId, code, debug);
      streams.sender.sendPing(0, farewellTag, 0);
      this.#watchdog.arm(Wait.drain, this.#closeTimeoutMs);
      return;
    }
    streams.lastAcceptedId = streams.lastPeerId;
    streams.sender.sendGoaway(streams.lastPeerId, code, debug);
    this.finishWhenEmpty();
  }

  /** The second step of a server's graceful end: a round trip later, or when the peer doesn't answer. */
  nameLastStream(): void {
    const streams = this.#streams;
    this.#watchdog.disarm(Wait.drain);
    streams.lastAcceptedId = streams.lastPeerId;
    streams.sender.sendGoaway(streams.lastPeerId, ErrorCode.NO_ERROR, "");
    this.finishWhenEmpty();
  }

  /** The PING between came back. */
  onPingAck(): void {
    if (this.#watchdog.isArmed(Wait.drain)) this.nameLastStream();
  }

  /** Takes a GOAWAY whose length is right. */
  onFrame(bytes: Buffer, start: number, end: number): void {
    const streams = this.#streams;
    const lastId = readUint31(bytes, start);
    const code = readUint32(bytes, start + 4);
    const debug = bytes.toString("latin1", start + 8, Math.min(end, start + 8 + 256));
    this.isHeard = true;
    // a client's last id is about pushed streams, of which there are none; its requests go on
    if (!streams.isServer) this.#closeUnprocessed(lastId, code, debug);
    this.#owner.onPeerGoaway(code, debug);
    if (!streams.isServer) this.finishWhenEmpty();
  }

  /** Ends the connection if either side wants that and no stream is open. A client's goodbye doesn't end a server. */
  finishWhenEmpty(): void {
    const streams = this.#streams;
    if (streams.open.size > 0 || this.#watchdog.isArmed(Wait.drain)) return;
    if (!this.#isSaid && (streams.isServer || !this.isHeard)) return;
    if (!this.#isSaid) streams.sender.sendGoaway(0, ErrorCode.NO_ERROR, "");
    this.#owner.onFarewellDone();
  }

  #closeUnprocessed(lastId: number, code: number, debug: string): void {
    const why = `${errorCodeName(code)}${debug === "" ? "" : `: ${debug}`}`;
    for (const stream of this.#streams.open.toArray()) {
      if (stream.id <= lastId) continue;
      const message = `peer went away (${why}) before it took the stream`;
      this.#streams.close(stream, new Http2Error(code, message, { remote: true, unprocessed: true }), Ending.byUs);
    }
  }
}
