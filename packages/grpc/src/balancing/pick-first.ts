import { RpcError } from "../rpc/error.ts";
import { type Address, addressText } from "../subchannel/address.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { Subchannel, SubchannelWatcher } from "../subchannel/subchannel.ts";
import type { Balancer, BalancerOptions } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Picker, queuePicker } from "./picker.ts";

/**
 * Tries the addresses in order and stays with the first that connects (gRFC A62).
 *
 * Connects when a call needs it, and is IDLE again when that connection ends. When every address failed it stays in
 * TRANSIENT_FAILURE, trying on, until one of them connects.
 */
export class PickFirst implements Balancer, SubchannelWatcher {
  readonly #options: BalancerOptions;
  #subchannels: readonly Subchannel[] = [];
  /** Which one is being tried in the first pass; beyond the last one all are, each as its back-off allows. */
  #tried = 0;
  #selected: Subchannel | undefined;
  #state: ConnectivityState = "IDLE";
  #picker: Picker = queuePicker;
  /** A call waits for the first endpoints. */
  #isWanted = false;
  #isClosed = false;

  constructor(options: BalancerOptions) {
    this.#options = options;
  }

  get picker(): Picker {
    return this.#picker;
  }

  get state(): ConnectivityState {
    return this.#state;
  }

  updateEndpoints(endpoints: readonly Endpoint[]): void {
    const { pool, connectOptions } = this.#options;
    const subchannels = distinct(endpoints).map((address) => pool.acquire(address, connectOptions));
    const before = this.#subchannels;
    for (const subchannel of before) subchannel.unwatch(this);
    this.#subchannels = subchannels;
    for (const subchannel of subchannels) subchannel.watch(this);
    // Acquired before these go: what stays is never closed in between.
    for (const subchannel of before) pool.release(subchannel);
    const selected = this.#selected;
    if (selected !== undefined && subchannels.includes(selected)) return;
    this.#selected = undefined;
    if (subchannels.length === 0) this.#fail(new RpcError("UNAVAILABLE", "there are no endpoints"));
    else if (selected !== undefined) this.#become("IDLE", queuePicker);
    else if (this.#state !== "IDLE" || this.#isWanted) this.#begin();
  }

  onResolverError(error: RpcError): void {
    if (this.#subchannels.length === 0) this.#fail(error);
  }

  exitIdle(): void {
    if (this.#state !== "IDLE") return;
    this.#isWanted = true;
    if (this.#subchannels.length > 0) this.#begin();
  }

  close(): void {
    this.#isClosed = true;
    for (const subchannel of this.#subchannels) {
      subchannel.unwatch(this);
      this.#options.pool.release(subchannel);
    }
    this.#subchannels = [];
    this.#selected = undefined;
    this.#state = "SHUTDOWN";
  }

  onSubchannelState(subchannel: Subchannel): void {
    if (this.#isClosed) return;
    if (subchannel === this.#selected) {
      if (subchannel.state === "READY") return;
      this.#selected = undefined;
      this.#become("IDLE", queuePicker);
      this.#options.onResolutionWanted?.();
      return;
    }
    if (this.#selected !== undefined || this.#state === "IDLE") return;
    if (subchannel.state === "READY") this.#select(subchannel);
    else if (this.#tried < this.#subchannels.length) this.#tryNext();
    else if (subchannel.state === "IDLE") subchannel.connect();
    else if (subchannel.state === "TRANSIENT_FAILURE") this.#failWith(subchannel);
  }

  /** From the first address on. */
  #begin(): void {
    this.#tried = 0;
    this.#isWanted = false;
    const ready = this.#subchannels.find((subchannel) => subchannel.state === "READY");
    if (ready !== undefined) {
      this.#select(ready);
      return;
    }
    // A failure is reported until something connects: calls fail at once instead of waiting for the same again.
    if (this.#state !== "TRANSIENT_FAILURE") this.#become("CONNECTING", queuePicker);
    this.#tryNext();
  }

  /** Goes on to the first address that hasn't failed yet. */
  #tryNext(): void {
    while (this.#tried < this.#subchannels.length) {
      const subchannel = this.#subchannels[this.#tried]!;
      if (subchannel.state === "CONNECTING") return;
      if (subchannel.state === "IDLE") {
        // Its states come back here, from within `connect` too.
        subchannel.connect();
        return;
      }
      this.#tried++;
    }
    const last = this.#subchannels.at(-1);
    if (last !== undefined) this.#failWith(last);
    // Those that were skipped meanwhile, or whose back-off is over.
    for (const subchannel of this.#subchannels) subchannel.connect();
  }

  #select(subchannel: Subchannel): void {
    this.#selected = subchannel;
    this.#become("READY", { kind: "ready", pick: () => subchannel });
  }

  #failWith(subchannel: Subchannel): void {
    const { lastError } = subchannel;
    const count = this.#subchannels.length;
    const details = lastError?.details ?? `no connection to ${subchannel.peer}`;
    const all = count === 1 ? details : `none of ${count} addresses could be reached; the last error: ${details}`;
    this.#fail(new RpcError("UNAVAILABLE", all, { cause: lastError?.cause ?? lastError }));
    this.#options.onResolutionWanted?.();
  }

  #fail(error: RpcError): void {
    this.#become("TRANSIENT_FAILURE", { kind: "fail", error });
  }

  #become(state: ConnectivityState, picker: Picker): void {
    this.#state = state;
    this.#picker = picker;
    this.#options.onPicker(picker);
  }
}

function distinct(endpoints: readonly Endpoint[]): Address[] {
  const addresses = new Map<string, Address>();
  for (const endpoint of endpoints) {
    for (const address of endpoint.addresses) addresses.set(addressText(address), address);
  }
  return [...addresses.values()];
}
