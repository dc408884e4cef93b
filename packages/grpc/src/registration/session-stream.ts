import { Down, Up } from "@weft/xds-api/weft/registry/v1/registry";
import type { Channel } from "../channel/channel.ts";
import type { CallListener, ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import type { Metadata } from "../rpc/metadata.ts";
import { statusName } from "../rpc/status.ts";

const path = "/weft.registry.v1.InterfaceRegistry/Session";

/** What happens on one session stream; nothing after `onEnd`. */
export interface SessionStreamListener {
  onDown(message: NonNullable<Down["message"]>): void;
  /** Exactly once, unless closed from this side. */
  onEnd(error: RpcError): void;
}

/** One call of InterfaceRegistry.Session. */
export class SessionStream implements CallListener {
  readonly #listener: SessionStreamListener;
  readonly #call: ClientCall;
  #isOver = false;

  constructor(channel: Channel, metadata: Metadata, listener: SessionStreamListener) {
    this.#listener = listener;
    this.#call = channel.startCall(channel.callHead(path), { metadata, isBackground: true }, this, undefined);
  }

  /** Queued while the channel connects. */
  send(message: NonNullable<Up["message"]>): void {
    if (!this.#isOver) this.#call.sendMessage(Up.encode({ message }).finish());
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#call.cancel("CANCELLED", "the registration ended");
  }

  #finish(error: RpcError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.onEnd(error);
  }

  // As the call's listener.

  onHeaders(): void {
    // Nothing in them that counts.
  }

  onMessage(bytes: Buffer): void {
    if (this.#isOver) return;
    let down: Down;
    try {
      down = Down.decode(bytes);
    } catch (cause) {
      this.#finish(new RpcError("INTERNAL", "the registry sent a malformed message", { cause }));
      this.#call.cancel("INTERNAL", "malformed message");
      return;
    }
    // A message of a newer registry that this side doesn't know.
    if (down.message !== undefined) this.#listener.onDown(down.message);
  }

  onWritable(): void {
    // What is sent is a handful of small messages.
  }

  onStatus(status: number, details: string, _trailers: unknown, cause: unknown): void {
    const code = statusName(status);
    const error =
      code === "OK"
        ? new RpcError("UNAVAILABLE", "the registry ended the session")
        : new RpcError(code, details, { cause });
    // May come from within startCall, before whoever made this object has it.
    queueMicrotask(() => this.#finish(error));
  }
}
