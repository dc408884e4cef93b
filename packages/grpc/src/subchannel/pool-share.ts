import type { Address } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Subchannel } from "./subchannel.ts";
import type { SubchannelSource } from "./subchannel-pool.ts";

/** One user's share in a pool: acquires there, and knows which subchannels it has. */
export class PoolShare implements SubchannelSource {
  readonly #pool: SubchannelSource;
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

  release(subchannel: Subchannel): void {
    const uses = this.#uses.get(subchannel) ?? 0;
    if (uses > 1) this.#uses.set(subchannel, uses - 1);
    else this.#uses.delete(subchannel);
    this.#pool.release(subchannel);
  }
}
