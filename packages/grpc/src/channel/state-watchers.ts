import type { ConnectivityState } from "../subchannel/connectivity-state.ts";

/** Who waits for a channel's state to change. */
export class StateWatchers {
  readonly #current: () => ConnectivityState;
  #watchers: (() => void)[] = [];

  constructor(current: () => ConnectivityState) {
    this.#current = current;
  }

  /** The state may have changed. */
  notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** Resolves with the first state that isn't `state`; rejects when `signal` aborts. */
  changed(state: ConnectivityState, signal: AbortSignal | undefined): Promise<ConnectivityState> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const current = this.#current();
        if (current === state) return;
        stop();
        resolve(current);
      };
      const aborted = () => {
        stop();
        reject(signal?.reason);
      };
      const stop = () => {
        this.#watchers = this.#watchers.filter((watcher) => watcher !== check);
        signal?.removeEventListener("abort", aborted);
      };
      this.#watchers.push(check);
      signal?.addEventListener("abort", aborted, { once: true });
      if (signal?.aborted === true) aborted();
      else check();
    });
  }
}
