import type { RpcError } from "../rpc/error.ts";
import type { Subchannel } from "../subchannel/subchannel.ts";

/** Where the next call goes. Immutable and replaced as a whole, except that `pick` may count. */
export type Picker =
  /** Wait for the next picker. If the balancer is IDLE, `exitIdle` makes it connect. */
  | { readonly kind: "queue" }
  /** Calls fail with `error`, those that wait for ready wait. */
  | { readonly kind: "fail"; readonly error: RpcError }
  | { readonly kind: "ready"; pick(): Subchannel };

/** Waits. */
export const queuePicker: Picker = { kind: "queue" };
