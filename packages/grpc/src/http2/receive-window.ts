import { defaultWindowBytes } from "./frame.ts";
import type { Http2Limits } from "./options.ts";
import type { Sender } from "./sender.ts";
import { type Http2Stream, StreamFlag } from "./stream.ts";

/** First word of the PINGs whose acknowledgement is `onProbe`'s. */
export const probeTag = 0x77656675;

/**
 * The windows that this side opens to its peer, for the connection and for each stream (RFC 9113 §5.2).
 *
 * Only what the owner has consumed is given back, half a window at a time, so a slow reader holds its sender back. While
 * consumption keeps up, windows grow with the bandwidth-delay product: along with an update goes a PING, and when the peer
 * filled half of a window in the round trip, that window doubles, up to its maximum.
 */
export class ReceiveWindow {
  /** The window each stream has, as last announced. */
  streamWindow: number;
  readonly #sender: Sender;
  readonly #limits: Http2Limits;
  #window: number;
  #available = defaultWindowBytes;
  #unreturned = 0;
  #received = 0;
  #probeStart = -1;

  constructor(sender: Sender, limits: Http2Limits) {
    this.#sender = sender;
    this.#limits = limits;
    this.streamWindow = limits.initialStreamWindowBytes;
    this.#window = Math.max(limits.initialConnectionWindowBytes, defaultWindowBytes);
  }

  /** Opens the connection's window beyond the protocol's 65,535 bytes; goes with the first SETTINGS. */
  announce(): void {
    const more = this.#window - defaultWindowBytes;
    if (more === 0) return;
    this.#available += more;
    this.#sender.sendWindowUpdate(0, more);
  }

  /** Counts `length` bytes of DATA; false when the peer had no window for them. */
  take(length: number): boolean {
    this.#received += length;
    this.#available -= length;
    return this.#available >= 0;
  }

  /** Counts `length` bytes of DATA for a stream; false when the peer had no window for them. */
  takeStream(stream: Http2Stream, length: number): boolean {
    stream.receiveCredit -= length;
    return this.streamWindow + stream.receiveCredit >= 0;
  }

  /** Gives `length` bytes back to the connection's window. */
  give(length: number): void {
    this.#unreturned += length;
    if (this.#unreturned * 2 < this.#window) return;
    this.#sender.sendWindowUpdate(0, this.#unreturned);
    this.#available += this.#unreturned;
    this.#unreturned = 0;
    this.#probe();
  }

  /** Gives `length` bytes back to a stream's window. */
  giveStream(stream: Http2Stream, length: number): void {
    stream.unreturned += length;
    if (stream.unreturned * 2 < this.streamWindow || (stream.flags & StreamFlag.remoteEnded) !== 0) return;
    this.#sender.sendWindowUpdate(stream.id, stream.unreturned);
    stream.receiveCredit += stream.unreturned;
    stream.unreturned = 0;
    this.#probe();
  }

  #probe(): void {
    const limits = this.#limits;
    const isGrown = this.#window >= limits.maxConnectionWindowBytes && this.streamWindow >= limits.maxStreamWindowBytes;
    if (this.#probeStart >= 0 || isGrown) return;
    this.#probeStart = this.#received;
    this.#sender.sendPing(0, probeTag, 0);
  }

  /** The probe came back. Returns the streams' new window when they are to have a larger one, else 0. */
  onProbe(): number {
    if (this.#probeStart < 0) return 0;
    const sample = this.#received - this.#probeStart;
    this.#probeStart = -1;
    const limits = this.#limits;
    if (sample * 2 >= this.#window && this.#window < limits.maxConnectionWindowBytes) {
      const grown = Math.min(this.#window * 2, limits.maxConnectionWindowBytes);
      this.#sender.sendWindowUpdate(0, grown - this.#window);
      this.#available += grown - this.#window;
      this.#window = grown;
    }
    if (sample * 2 < this.streamWindow || this.streamWindow >= limits.maxStreamWindowBytes) return 0;
    this.streamWindow = Math.min(this.streamWindow * 2, limits.maxStreamWindowBytes);
    return this.streamWindow;
  }
}
