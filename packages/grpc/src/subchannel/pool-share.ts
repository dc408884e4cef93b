import type { Clock } from "../clock.ts";
import type { Address } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Subchannel } from "./subchannel.ts";
import type { SubchannelSource } from "./subchannel-pool.ts";

/** One user's share in a pool: acquires there, and knows which subchannels it has. */
export class PoolShare implements SubchannelSource {
  readonly #pool: SubchannelSource;
  readonly #closing = new Set<Promise<void>>();
  readonly #uses = new Map<Subchannel, number>();

  constructor(pool: SubchannelSource) {
    this.#pool = pool;
  }

  /** Those acquired here and not yet given back, each once. */
  get subchannels(): Subchannel[] {
    return [...this.#uses.keys()];
  }

  acquire(address: Address, options: ConnectOptions): Subchannel {
    const subchannel = this.#pool.acquire(address, options);
    this.#uses.set(subchannel, (this.#uses.get(subchannel) ?? 0) + 1);
    return subchannel;
  }

  get clock(): Clock {
    return this.#pool.clock;
  }

  get random(): () => number {
    return this.#pool.random;
  }

  release(subchannel: Subchannel): Promise<void> {
    const uses = this.#uses.get(subchannel) ?? 0;
    if (uses > 1) this.#uses.set(subchannel, uses - 1);
    else this.#uses.delete(subchannel);
    const closed = this.#pool.release(subchannel).then(() => {
      this.#closing.delete(closed);
    });
    this.#closing.add(closed);
    return closed;
  }

  /** Resolves when the connections of all that was given back for good have closed. */
  async closed(): Promise<void> {
    await Promise.all(this.#closing);
  }
}
