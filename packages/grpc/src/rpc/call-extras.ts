import type { HeaderList } from "../http2/headers.ts";
import type { CallRetry } from "./call-retry.ts";
import type { Compressor, Decompressor, MessageEncoding } from "./compression.ts";
import type { Metadata } from "./metadata.ts";
import type { CallStatus } from "./response.ts";

/** The part of a call's state that most calls have no use for, so that these don't carry it. */
export class CallExtras {
  /** How requests are compressed. */
  compression: MessageEncoding = "identity";
  /** For the attempt that runs. */
  compressor: Compressor | undefined = undefined;
  decompressor: Decompressor | undefined = undefined;
  /** Messages that are not to be compressed. */
  plainMessages: Set<Uint8Array> | undefined = undefined;
  /** The status, where it came before the last messages were decompressed. */
  lateStatus: { readonly status: CallStatus; readonly trailers: HeaderList } | undefined = undefined;
  credentialsMetadata: Metadata | undefined = undefined;
  /** Attempts that were made before this one. */
  previousAttempts = 0;
  retry: CallRetry | undefined = undefined;
  /** How long after the stream's end the next attempt begins; -1: there is none. */
  retryDelayMs = -1;
  /** Bytes of streamed messages that are kept for another attempt. */
  keptBytes = 0;
}
