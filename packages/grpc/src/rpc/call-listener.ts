import type { HeaderList } from "../http2/headers.ts";

/** What a call tells whoever started it. Never from within the function that starts the call, except `onStatus`. */
export interface CallListener {
  /** Response headers: at most once, before any message; not at all when the call ended without them. */
  onHeaders(headers: HeaderList): void;
  /** The next message; its bytes belong to the listener. */
  onMessage(message: Buffer): void;
  /** `sendMessage` returned false before and would return true now. */
  onWritable(): void;
  /** Exactly once, last. `status` 0 is OK; `trailers` is empty where the status was made on this side. */
  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void;
}
