/** A queue between one who pushes at any time and one who iterates. Bounded: pushing beyond `limit` fails it. */
export class Outbox<T> implements AsyncIterable<T> {
  readonly #limit: number;
  #queued: T[] = [];
  #ended = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Queues `item`; nothing once ended. A reader that doesn't read fails the queue instead of filling memory. */
  push(item: T): void {
    if (this.#ended) return;
    if (this.#queued.length >= this.#limit) {
      this.end(new Error("the peer does not read what it is sent"));
      return;
    }
    this.#queued.push(item);
    this.#wake?.();
  }

  /** No more after what is queued; with an error the iteration throws it then. The first call counts. */
  end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      const items = this.#queued;
      this.#queued = [];
      yield* items;
      if (this.#queued.length > 0) continue;
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
