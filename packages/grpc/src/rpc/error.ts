import type { Metadata } from "./metadata.ts";
import { Status, type StatusName } from "./status.ts";

/** What an RpcError may carry besides its status. */
export interface RpcErrorOptions {
  readonly cause?: unknown;
  /** Trailing metadata: received with the status, or to be sent with it. */
  readonly metadata?: Metadata;
}

/**
 * A call, or what a call needs, failed: the one error class of this package.
 *
 * Thrown by clients; a handler throws it to end its call with that status.
 */
export class RpcError extends Error {
  override readonly name = "RpcError";
  /** The code's name: `UNAVAILABLE`. */
  readonly code: StatusName;
  /** The message without the code. */
  readonly details: string;
  readonly metadata: Metadata | undefined;

  constructor(code: StatusName, details: string, options?: RpcErrorOptions) {
    // Tools show just the message, so the code stands in it.
    super(details === "" ? code : `${code}: ${details}`, options?.cause === undefined ? undefined : options);
    this.code = code;
    this.details = details;
    this.metadata = options?.metadata;
  }

  /** The code's number. */
  get status(): number {
    return Status[this.code];
  }

  /** `reason` itself if it is one already, else UNKNOWN with its message: the one door for what user code throws. */
  static from(reason: unknown): RpcError {
    if (reason instanceof RpcError) return reason;
    return new RpcError("UNKNOWN", reason instanceof Error ? reason.message : String(reason), { cause: reason });
  }
}
