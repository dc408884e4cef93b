// How a case speaks with the client under test: one call as a conversation, whatever the API below.
import type { TestMethod, testMethods } from "./service.ts";

/** Metadata as the cases look at it: names in lower case, the first value of each. */
export type ReceivedMetadata = ReadonlyMap<string, string | Uint8Array>;

/** What a call came to. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
  readonly headers: ReceivedMetadata;
  readonly trailers: ReceivedMetadata;
}

/** One call, from its first message to its status. */
export interface Exchange<Request, Response> {
  /** Sends a message; `compress: false` sends it as it is where the call compresses. */
  send(message: Request, compress?: boolean): void;
  halfClose(): void;
  /** The next response; undefined when there is no further one, whatever the status. */
  receive(): Promise<Response | undefined>;
  cancel(): void;
  readonly outcome: Promise<Outcome>;
}

/** What a call may be told. */
export interface CallSettings {
  readonly metadata?: Readonly<Record<string, string | Uint8Array>>;
  readonly timeoutMs?: number;
  /** Requests are compressed with gzip. */
  readonly compress?: boolean;
}

/** Values that come over time, to be taken one by one. */
export class Mailbox<Value> {
  readonly #values: Value[] = [];
  readonly #takers: ((value: Value | undefined) => void)[] = [];
  #isClosed = false;

  put(value: Value): void {
    const taker = this.#takers.shift();
    if (taker === undefined) this.#values.push(value);
    else taker(value);
  }

  /** No more will come. */
  close(): void {
    this.#isClosed = true;
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  /** The next value; undefined after the last. */
  take(): Promise<Value | undefined> {
    const value = this.#values.shift();
    if (value !== undefined || this.#isClosed) return Promise.resolve(value);
    return new Promise((resolve) => {
      this.#takers.push(resolve);
    });
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Value, void, void> {
    for (let value = await this.take(); value !== undefined; value = await this.take()) yield value;
  }
}

type Methods = typeof testMethods;
type RequestOf<Method> = Method extends TestMethod<infer Request, infer _> ? Request : never;
type ResponseOf<Method> = Method extends TestMethod<infer _, infer Response> ? Response : never;

export type MethodName = keyof Methods;
export type ExchangeOf<Name extends MethodName> = Exchange<RequestOf<Methods[Name]>, ResponseOf<Methods[Name]>>;

/** A client of the test service with its channel. */
export interface InteropClient {
  start<Name extends MethodName>(name: Name, settings?: CallSettings): ExchangeOf<Name>;
  close(): Promise<void>;
}

/** Makes clients of one implementation, all for the same server. */
export type Connect = () => InteropClient;
