import type { CallCredentials } from "./call-credentials.ts";
import type { MessageEncoding } from "./compression.ts";
import type { Metadata } from "./metadata.ts";

/** What a call may be told besides its method and messages. */
export interface StartOptions {
  readonly metadata?: Metadata | undefined;
  /** When the call ends with DEADLINE_EXCEEDED. With several limits the earliest holds. */
  readonly deadline?: Date | undefined;
  readonly timeoutMs?: number | undefined;
  /** Ends the call with CANCELLED. */
  readonly signal?: AbortSignal | undefined;
  /** Waits for a connection, where it would fail at once because there is none. Default: as the service config says, or false. */
  readonly waitForReady?: boolean | undefined;
  /** How requests are compressed. Default: as the channel says. */
  readonly compression?: MessageEncoding | undefined;
  /** Beside the channel's own. Refused in plaintext. */
  readonly credentials?: CallCredentials | undefined;
  /**
   * The call serves the process and not the other way round, as a subscription does: open or waiting, it doesn't keep the
   * process alive. Default false.
   */
  readonly isBackground?: boolean | undefined;
  /** The call that is being served and needs this one: its deadline holds here too, and its end cancels this one. */
  readonly propagateFrom?: ParentCall | undefined;
}

/** A call that is being served, as far as calls made for it care. */
export interface ParentCall {
  readonly deadline: Date | undefined;
  readonly signal: AbortSignal;
}
