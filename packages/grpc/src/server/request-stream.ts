import { RpcError } from "../rpc/error.ts";
import type { ServerCall } from "../rpc/server-call.ts";

interface Waiting {
  readonly resolve: (result: IteratorResult<unknown, undefined>) => void;
  readonly reject: (error: RpcError) => void;
}

const done: IteratorResult<unknown, undefined> = { done: true, value: undefined };

/**
 * The request messages of one streaming call, as an AsyncIterable to be read once.
 *
 * A message that waits here holds back the caller's flow-control window until it is read. Ends with the caller's half
 * close; a cancelled call makes it throw the reason. Stopping early (`break`) drops the rest.
 */
export class RequestStream implements AsyncIterableIterator<unknown, undefined> {
  private readonly call: ServerCall;
  private readonly decode: (bytes: Buffer) => unknown;
  private readonly messages: Buffer[] = [];
  private readonly readers: Waiting[] = [];
  private ended = false;
  private error: RpcError | undefined = undefined;

  constructor(call: ServerCall, decode: (bytes: Buffer) => unknown) {
    this.call = call;
    this.decode = decode;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.error !== undefined) return Promise.reject(this.error);
    const message = this.messages.shift();
    if (message !== undefined) return this.take(message);
    if (this.ended) return Promise.resolve(done);
    return new Promise((resolve, reject) => this.readers.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<unknown, undefined>> {
    this.abandon();
    return Promise.resolve(done);
  }

  push(message: Buffer): void {
    if (this.ended) {
      this.call.release(message);
      return;
    }
    const reader = this.readers.shift();
    if (reader === undefined) this.messages.push(message);
    else this.take(message).then(reader.resolve, reader.reject);
  }

  end(): void {
    this.ended = true;
    for (const reader of this.readers.splice(0)) reader.resolve(done);
  }

  fail(error: RpcError): void {
    this.error = error;
    this.messages.length = 0;
    for (const reader of this.readers.splice(0)) reader.reject(error);
  }

  /** Drops what waits and what comes: nobody reads any more. */
  abandon(): void {
    this.end();
    for (const message of this.messages.splice(0)) this.call.release(message);
  }

  private take(message: Buffer): Promise<IteratorResult<unknown, undefined>> {
    this.call.release(message);
    try {
      return Promise.resolve({ done: false, value: this.decode(message) });
    } catch (cause) {
      const error = new RpcError("INTERNAL", "a request message can't be decoded", { cause });
      this.call.abandon(error);
      return Promise.reject(error);
    }
  }
}
