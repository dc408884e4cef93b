import type { MessageEncoding } from "./compression.ts";
import { defaultMaxReceiveMessageBytes } from "./message-framing.ts";
import type { HedgingPolicy, RetryEnvironment, RetryPolicy } from "./retry-policy.ts";

/** What holds for every call of one method on one channel, unless the call says otherwise. */
export interface CallSettings {
  readonly maxReceiveBytes: number;
  readonly maxSendBytes: number;
  /** From the start of the call; 0: no limit. The call's own deadline holds too. */
  readonly timeoutMs: number;
  readonly waitForReady: boolean;
  /** How requests are compressed. */
  readonly compression: MessageEncoding;
  readonly retry: RetryPolicy | undefined;
  readonly hedging: HedgingPolicy | undefined;
  /** For calls with a retry policy, wherever that comes from; undefined: no call is tried again by policy. */
  readonly retries: RetryEnvironment | undefined;
}

/** The settings of a channel that says nothing. */
export const defaultCallSettings: CallSettings = {
  maxReceiveBytes: defaultMaxReceiveMessageBytes,
  maxSendBytes: Number.POSITIVE_INFINITY,
  timeoutMs: 0,
  waitForReady: false,
  compression: "identity",
  retry: undefined,
  hedging: undefined,
  retries: undefined,
};
