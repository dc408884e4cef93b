import type { Http2Error } from "./error.ts";
import type { HeaderList } from "./headers.ts";
import type { Http2Stream, StreamHandler } from "./stream.ts";

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
