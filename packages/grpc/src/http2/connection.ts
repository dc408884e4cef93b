import type { Duplex } from "node:stream";
import type { Http2Error } from "./error.ts";
import type { HeaderList, HeaderTemplate } from "./headers.ts";
import type { Http2Options } from "./options.ts";
import type { Http2Stream, StreamHandler } from "./stream.ts";

/** What a connection tells its owner. */
export interface ConnectionHandler {
  /** Server only: a request arrived; the answer is what hears of the rest of it. */
  onStream(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler;
  /** The peer wants no new streams here; those it will not process are closed as `unprocessed` before this. */
  onGoaway(code: number, debug: string): void;
  /** `canOpenStream` may have turned true, or the peer's SETTINGS arrived (`isReady`). */
  onCapacity(): void;
  /** Exactly once, after every stream's `onClose`; undefined when it ended as one side asked. */
  onClose(error: Http2Error | undefined): void;
}

/** One HTTP/2 connection over one Duplex, either role (RFC 9113). Owns the socket. */
export class Http2Connection {
  readonly socket: Duplex;
  readonly role: "client" | "server";
  readonly handler: ConnectionHandler;
  readonly options: Http2Options;

  constructor(socket: Duplex, role: "client" | "server", handler: ConnectionHandler, options: Http2Options = {}) {
    this.socket = socket;
    this.role = role;
    this.handler = handler;
    this.options = options;
    throw new Error("under construction: the seam only");
  }

  /** Client: a `request` would be sent now (no GOAWAY, below the peer's limit, ids left, the socket takes bytes). */
  declare readonly canOpenStream: boolean;
  declare readonly openStreams: number;
  /** The peer's SETTINGS are here. */
  declare readonly isReady: boolean;
  declare readonly isClosed: boolean;

  /** Opens a stream; only while `canOpenStream`. */
  declare request: (handler: StreamHandler, head: HeaderTemplate, rest: HeaderList, endStream: boolean) => Http2Stream;
  /** Response headers or trailers; trailers wait behind queued data. */
  declare sendHeaders: (
    stream: Http2Stream,
    head: HeaderTemplate | undefined,
    rest: HeaderList,
    endStream: boolean,
  ) => void;
  /** Sends `prefix` and `body`; false above the high-water mark. A body of 16 KiB or more must not change afterwards. */
  declare write: (stream: Http2Stream, prefix: Uint8Array | undefined, body: Uint8Array, endStream: boolean) => boolean;
  /** The owner is done with `bytes` that `onData` gave it: the peer may send as many again. */
  declare consume: (stream: Http2Stream, bytes: number) => void;
  declare reset: (stream: Http2Stream, code: number) => void;
  declare ping: (onAck: (rttMs: number) => void) => void;
  declare goaway: (code?: number, debug?: string) => void;
  declare destroy: (error?: Error) => void;
}
