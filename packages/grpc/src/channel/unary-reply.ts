import type { HeaderList } from "../http2/headers.ts";
import type { CallListener, ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { MethodDescriptor } from "../rpc/service-definition.ts";
import { Status } from "../rpc/status.ts";
import { callError, decodeResponse } from "./call-error.ts";
import type { CallOptions } from "./client-types.ts";
import type { RequestPump } from "./request-pump.ts";

/** The listener of a call with one response: settles one promise. */
export class UnaryReply implements CallListener {
  readonly #method: MethodDescriptor;
  readonly #options: CallOptions | undefined;
  readonly #resolve: (response: unknown) => void;
  readonly #reject: (error: unknown) => void;
  /** Set by the starter, before anything but `onStatus` comes. */
  call: ClientCall | undefined;
  pump: RequestPump | undefined;
  #response: unknown;
  #responses = 0;

  constructor(
    method: MethodDescriptor,
    options: CallOptions | undefined,
    resolve: (response: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#method = method;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  onHeaders(headers: HeaderList): void {
    const onHeaders = this.#options?.onHeaders;
    if (onHeaders === undefined) return;
    try {
      onHeaders(Metadata.received(headers));
    } catch (error) {
      this.call!.fail(RpcError.from(error));
    }
  }

  onMessage(message: Buffer): void {
    if (++this.#responses > 1) {
      this.call!.cancel("UNIMPLEMENTED", `${this.#method.path} answered with more than one message`);
      return;
    }
    this.#response = decodeResponse(this.#method, message, this.call!);
  }

  onWritable(): void {
    this.pump?.onWritable();
  }

  onStatus(status: number, details: string, trailers: HeaderList, cause: unknown): void {
    this.pump?.onEnd();
    const onTrailers = this.#options?.onTrailers;
    if (onTrailers !== undefined) {
      try {
        onTrailers(Metadata.received(trailers));
      } catch (error) {
        this.#reject(RpcError.from(error));
        return;
      }
    }
    if (status !== Status.OK) this.#reject(callError(status, details, trailers, cause));
    else if (this.#responses === 1) this.#resolve(this.#response);
    else this.#reject(new RpcError("UNIMPLEMENTED", `${this.#method.path} ended without the one message it owes`));
  }
}
