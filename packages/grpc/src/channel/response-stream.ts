import type { HeaderList } from "../http2/headers.ts";
import type { CallListener, ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { MethodDescriptor } from "../rpc/service-definition.ts";
import { Status } from "../rpc/status.ts";
import { callError, decodeResponse } from "./call-error.ts";
import type { CallOptions } from "./client-types.ts";
import type { RequestPump } from "./request-pump.ts";

interface Waiter {
  readonly resolve: (result: IteratorResult<unknown, void>) => void;
  readonly reject: (error: unknown) => void;
}

const doneResult: IteratorReturnResult<void> = { done: true, value: undefined };

/**
 * The responses of a streaming call, to be read once.
 *
 * Holds what arrived and wasn't read; while there is any, the peer gets no more window, so a slow reader holds its
 * sender back at a window's worth. Leaving early cancels the call.
 */
export class ResponseStream implements CallListener, AsyncIterableIterator<unknown, void, void> {
  readonly #method: MethodDescriptor;
  readonly #options: CallOptions | undefined;
  /** Set by the starter, before anything but `onStatus` comes. */
  call: ClientCall | undefined;
  pump: RequestPump | undefined;
  /** Unread messages: those from `#next` on. */
  #messages: unknown[] = [];
  #next = 0;
  #waiters: Waiter[] = [];
  #isOver = false;
  /** Why it ended; handed out once, after the last message. */
  #error: unknown;

  constructor(method: MethodDescriptor, options: CallOptions | undefined) {
    this.#method = method;
    this.#options = options;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, void>> {
    if (this.#next < this.#messages.length) return Promise.resolve({ done: false, value: this.#take() });
    if (!this.#isOver) {
      return new Promise((resolve, reject) => {
        this.#waiters.push({ resolve, reject });
      });
    }
    const error = this.#error;
    this.#error = undefined;
    return error === undefined ? Promise.resolve(doneResult) : Promise.reject(error);
  }

  return(): Promise<IteratorReturnResult<void>> {
    this.#messages = [];
    this.#next = 0;
    this.call?.cancel("CANCELLED", "the reader left the stream");
    this.#error = undefined;
    return Promise.resolve(doneResult);
  }

  /** There is no call: the first reader gets `error`. */
  refuse(error: unknown): void {
    this.#isOver = true;
    this.#error = error;
  }

  // As the call's listener.

  onHeaders(headers: HeaderList): void {
    const onHeaders = this.#options?.onHeaders;
    if (onHeaders === undefined) return;
    try {
      onHeaders(Metadata.received(headers));
    } catch (error) {
      this.call!.fail(RpcError.from(error));
    }
  }

  onMessage(bytes: Buffer): void {
    const message = decodeResponse(this.#method, bytes, this.call!);
    if (this.#isOver) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: message });
      return;
    }
    if (this.#messages.length === this.#next) this.call!.pause();
    this.#messages.push(message);
  }

  onWritable(): void {
    this.pump?.onWritable();
  }

  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    this.#isOver = true;
    this.pump?.onEnd();
    let error: unknown = status === Status.OK ? undefined : callError(status, details, trailers, cause);
    try {
      this.#options?.onTrailers?.(Metadata.received(trailers));
    } catch (thrown) {
      error = RpcError.from(thrown);
    }
    const [first, ...others] = this.#waiters;
    this.#waiters = [];
    // As with a generator: the first to wait gets the error, the stream is just over for the rest.
    if (first === undefined) this.#error = error;
    else if (error === undefined) first.resolve(doneResult);
    else first.reject(error);
    for (const waiter of others) waiter.resolve(doneResult);
  }

  #take(): unknown {
    const message = this.#messages[this.#next];
    this.#messages[this.#next++] = undefined;
    if (this.#next === this.#messages.length) {
      this.#messages = [];
      this.#next = 0;
      this.call!.resume();
    }
    return message;
  }
}
