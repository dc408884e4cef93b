import type { Duplex } from "node:stream";
import { ErrorCode } from "./error.ts";
import type { Http2Limits } from "./options.ts";
import type { Output } from "./output.ts";
import type { PeerConduct } from "./peer-conduct.ts";
import type { Fail } from "./settings-exchange.ts";
import type { Http2Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";
import { Wait, type Watchdog } from "./watchdog.ts";

/** A peer that doesn't take what it is sent: at the socket, or by the windows it doesn't open. */
export class StallWatch {
  readonly #socket: Duplex;
  readonly #output: Output;
  readonly #streams: Streams;
  readonly #conduct: PeerConduct;
  readonly #limits: Http2Limits;
  readonly #watchdog: Watchdog;
  readonly #fail: Fail;
  #isPaused = false;
  #writesSeen = 0;

  constructor(
    socket: Duplex,
    output: Output,
    streams: Streams,
    conduct: PeerConduct,
    limits: Http2Limits,
    watchdog: Watchdog,
    fail: Fail,
  ) {
    this.#socket = socket;
    this.#output = output;
    this.#streams = streams;
    this.#conduct = conduct;
    this.#limits = limits;
    this.#watchdog = watchdog;
    this.#fail = fail;
  }

  /** The socket is full. */
  onBlocked(): void {
    if (this.#watchdog.isArmed(Wait.writeStall)) return;
    this.#writesSeen = this.#output.writesDone;
    this.#watchdog.arm(Wait.writeStall, this.#limits.writeStallTimeoutMs);
  }

  onDrain(): void {
    this.#watchdog.disarm(Wait.writeStall);
    this.resume();
  }

  /** Reads again. */
  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#socket.resume();
  }

  onWriteStallDue(): void {
    if (!this.#output.isBlocked) return;
    if (this.#output.writesDone === this.#writesSeen) {
      this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "the peer takes no bytes", "write-stall");
    } else {
      this.onBlocked();
    }
  }

  /** After input, while the socket is full: a peer that makes us answer but doesn't read isn't read from either, then it is cut off. */
  checkOutbound(): void {
    const waiting = this.#output.controlBytes;
    const { maxOutboundBytes } = this.#limits;
    if (waiting > maxOutboundBytes * 4) {
      this.#fail(ErrorCode.ENHANCE_YOUR_CALM, "too much waits for a peer that doesn't read", "outbound-queue");
    } else if (waiting > maxOutboundBytes && !this.#isPaused) {
      this.#isPaused = true;
      this.#socket.pause();
    }
  }

  /** A stream has data and no window. Only a server minds: its memory is for all. */
  onWindowBlocked(stream: Http2Stream): void {
    if (!this.#streams.isServer || this.#watchdog.isArmed(Wait.windowStall)) return;
    const { windowStallTimeoutMs } = this.#limits;
    if (windowStallTimeoutMs === Number.POSITIVE_INFINITY) return;
    stream.blockedSinceMs = this.#conduct.now();
    this.#watchdog.arm(Wait.windowStall, windowStallTimeoutMs / 4);
  }

  /** Resets streams whose data has waited too long, while all that waits is too much; marks those that wait now. */
  onWindowStallDue(): void {
    const now = this.#conduct.now();
    const { windowStallTimeoutMs, maxStalledBytes } = this.#limits;
    const late: Http2Stream[] = [];
    let bytes = 0;
    for (const stream of this.#streams.open.toArray()) {
      if (stream.queuedBytes === 0) continue;
      bytes += stream.queuedBytes;
      if (stream.blockedSinceMs < 0) stream.blockedSinceMs = now;
      else if (now - stream.blockedSinceMs >= windowStallTimeoutMs) late.push(stream);
    }
    if (bytes === 0) return;
    this.#watchdog.arm(Wait.windowStall, windowStallTimeoutMs / 4);
    late.sort((a, b) => a.blockedSinceMs - b.blockedSinceMs);
    for (const stream of late) {
      if (bytes <= maxStalledBytes) break;
      if (!stream.isOpen) continue;
      bytes -= stream.queuedBytes;
      const message = "the peer opens no window for its data";
      this.#streams.fail(stream, ErrorCode.ENHANCE_YOUR_CALM, message, "window-stall");
    }
  }
}
