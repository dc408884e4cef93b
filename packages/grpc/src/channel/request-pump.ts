import type { ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";

/**
 * Sends what `requests` yields on `call`: takes the next one only when the connection has room, half-closes after the last.
 *
 * Stops taking when the call ends; an iterable that throws cancels the call, with its error as the cause.
 */
export class RequestPump {
  readonly #call: ClientCall;
  readonly #encode: (message: unknown) => Uint8Array;
  readonly #iterator: AsyncIterator<unknown> | Iterator<unknown>;
  #onWritable: (() => void) | undefined;
  #isDone = false;

  constructor(
    call: ClientCall,
    requests: AsyncIterable<unknown> | Iterable<unknown>,
    encode: (message: unknown) => Uint8Array,
  ) {
    this.#call = call;
    this.#encode = encode;
    this.#iterator = Symbol.asyncIterator in requests ? requests[Symbol.asyncIterator]() : requests[Symbol.iterator]();
    this.#run().catch((error: unknown) => {
      call.cancel("CANCELLED", `the request stream failed: ${RpcError.from(error).details}`, error);
    });
  }

  /** The connection has room again, or the call is over. */
  onWritable(): void {
    const wake = this.#onWritable;
    this.#onWritable = undefined;
    wake?.();
  }

  /** The call is over: the iterable is told, as `break` would tell it. */
  onEnd(): void {
    this.onWritable();
    if (this.#isDone) return;
    this.#isDone = true;
    this.#leave().catch(() => {
      // Its own clean-up failed: nobody waits for it any more.
    });
  }

  async #run(): Promise<void> {
    while (!this.#call.isEnded) {
      const next = await this.#iterator.next();
      if (this.#call.isEnded) return;
      if (next.done === true) {
        this.#isDone = true;
        this.#call.halfClose();
        return;
      }
      if (this.#call.sendMessage(this.#encode(next.value))) continue;
      await new Promise<void>((resolve) => {
        this.#onWritable = resolve;
      });
    }
  }

  async #leave(): Promise<void> {
    await this.#iterator.return?.();
  }
}
