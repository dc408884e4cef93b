import type { StreamState } from "./stream-state.ts";

interface HasState {
  readonly state: StreamState;
}

interface Waiter {
  readonly typeUrl: string;
  /** For each stream that was behind: how far it must get. */
  readonly targets: Map<HasState, number>;
  readonly resolve: () => void;
}

/** Those who wait until clients have answered what was announced up to some moment. */
export class DeliveryWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Resolves when each of `streams` has answered all changes of the type that it knows of now, or is gone. */
  wait(streams: ReadonlySet<HasState>, typeUrl: string, signal?: AbortSignal): Promise<void> {
    const targets = new Map<HasState, number>();
    for (const stream of streams) {
      const type = stream.state.type(typeUrl);
      if (type !== undefined && type.settledGeneration < type.generation) targets.set(stream, type.generation);
    }
    if (targets.size === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason);
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(signal?.reason);
      };
      const waiter: Waiter = {
        typeUrl,
        targets,
        resolve: () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Called whenever a stream may have got further, or is gone. */
  check(streams: ReadonlySet<HasState>): void {
    for (const waiter of this.#waiters) {
      for (const [stream, generation] of waiter.targets) {
        const settled = stream.state.type(waiter.typeUrl)?.settledGeneration ?? generation;
        if (!streams.has(stream) || settled >= generation) waiter.targets.delete(stream);
      }
      if (waiter.targets.size > 0) continue;
      this.#waiters.delete(waiter);
      waiter.resolve();
    }
  }
}
