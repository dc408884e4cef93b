import type { Http2Error } from "./error.ts";
import type { HeaderList, HeaderTemplate } from "./headers.ts";
import type { SendQueue } from "./send-queue.ts";

/**
 * What a stream tells its owner. One object a stream; keep all of one role of one class, so that calls stay monomorphic.
 *
 * Callbacks come on the connection's own stack and in the order of the wire. They may call back into the connection, `reset` and
 * `destroy` included; nothing but `onClose` comes after that.
 */
export interface StreamHandler {
  /** The response's headers (client only; a server gets the request's in `onStream`), then the peer's trailers. 1xx are swallowed. */
  onHeaders(headers: HeaderList, endStream: boolean): void;
  /** `chunk[start, end)` is the receive buffer itself: decode now or copy. May be empty when `endStream`. */
  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void;
  /** The stream's queue fell under the low-water mark after `write` had returned false. */
  onWritable(): void;
  /**
   * The stream is over: exactly once, last. Undefined when both sides ended normally.
   *
   * May come from inside `write`, `sendHeaders` and `reset`, when these end the stream.
   */
  onClose(error: Http2Error | undefined): void;
}

/** Bits of `Http2Stream.flags`. */
export const StreamFlag = {
  localEnded: 1,
  remoteEnded: 2,
  closed: 4,
  /** The peer's initial headers (final ones: not 1xx) are here. */
  headersReceived: 8,
  /** Our initial headers are on their way. */
  headersSent: 16,
  /** `write` returned false; `onWritable` is owed. */
  needsWritable: 32,
  /** In the list of streams that have something to send and a window to send it in. */
  ready: 64,
  /** END_STREAM goes with the last queued byte. */
  endQueued: 128,
} as const;

/** One stream of a connection: a handle for its owner, state for the connection. Only `id` and `isOpen` are for owners. */
export class Http2Stream {
  readonly id: number;
  flags = 0;
  sendWindow: number;
  /** What the peer may send beyond (positive) or has used of (negative) the initial window. */
  receiveCredit = 0;
  /** Received and not yet consumed by the owner. */
  unconsumed = 0;
  /** Consumed and not yet given back to the peer. */
  unreturned = 0;
  /** Body bytes that the peer announced by content-length and still owes; -1 when it announced none. */
  contentLeft = -1;
  handler: StreamHandler | undefined;
  queue: SendQueue | undefined;
  trailersHead: HeaderTemplate | undefined;
  trailersRest: HeaderList | undefined;
  nextReady: Http2Stream | undefined;
  /** When its queue began to wait for a window, as `openedAtMs`; -1 while it doesn't. */
  blockedSinceMs = -1;
  /** Server: when it was opened, in whole milliseconds since the connection began. */
  openedAtMs = 0;
  closeError: Http2Error | undefined;

  constructor(id: number, sendWindow: number, handler: StreamHandler | undefined) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.handler = handler;
  }

  get isOpen(): boolean {
    return (this.flags & StreamFlag.closed) === 0;
  }

  /** Bytes that wait for a window or for the socket. */
  get queuedBytes(): number {
    return this.queue === undefined ? 0 : this.queue.bytes;
  }
}
