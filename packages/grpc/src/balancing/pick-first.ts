import { RpcError } from "../rpc/error.ts";
import { type Address, addressText } from "../subchannel/address.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { Subchannel, SubchannelWatcher } from "../subchannel/subchannel.ts";
import { addressesInOrder, shuffled } from "./address-order.ts";
import type { Balancer, BalancerOptions } from "./balancer.ts";
import type { Endpoint } from "./endpoint.ts";
import { type Picker, queuePicker } from "./picker.ts";

/** How long an address may take before the next one is tried beside it (gRFC A61). */
const attemptDelayMs = 250;

/**
 * Tries the addresses in order, each beside the last where that takes long, and stays with the first that connects (gRFC
 * A61, A62).
 *
 * Connects when a call needs it, and is IDLE again when that connection ends. When every address failed it stays in
 * TRANSIENT_FAILURE, trying on, until one of them connects. Has subchannels of the addresses only while it connects, and
 * of one while it is connected.
 */
export class PickFirst implements Balancer, SubchannelWatcher {
  readonly #options: BalancerOptions;
  readonly #isShuffling: boolean;
  #addresses: readonly Address[] = [];
  #subchannels: readonly Subchannel[] = [];
  /** How many were tried in the first pass; beyond the last one all are, each as its back-off allows. */
  #tried = 0;
  /** Those that failed since the pass began. */
  readonly #failed = new Set<Subchannel>();
  #cancelDelay: (() => void) | undefined;
  #selected: Subchannel | undefined;
  #state: ConnectivityState = "IDLE";
  #picker: Picker = queuePicker;
  /** A call waits for the first endpoints. */
  #isWanted = false;
  #isClosed = false;

  constructor(options: BalancerOptions, isShuffling = false) {
    this.#options = options;
    this.#isShuffling = isShuffling;
  }

  get picker(): Picker {
    return this.#picker;
  }

  get state(): ConnectivityState {
    return this.#state;
  }

  updateEndpoints(endpoints: readonly Endpoint[]): void {
    const random = this.#options.random ?? Math.random;
    this.#addresses = addressesInOrder(this.#isShuffling ? shuffled(endpoints, random) : endpoints);
    const selected = this.#selected;
    if (selected !== undefined) {
      if (this.#addresses.some((address) => addressText(address) === selected.peer)) return;
      this.#selected = undefined;
      this.#releaseAllBut(undefined);
    }
    if (this.#addresses.length === 0) {
      this.#releaseAllBut(undefined);
      this.#fail(new RpcError("UNAVAILABLE", "there are no endpoints"));
    } else if (selected !== undefined) this.#become("IDLE", queuePicker);
    else if (this.#state !== "IDLE" || this.#isWanted) this.#begin();
  }

  onResolverError(error: RpcError): void {
    if (this.#addresses.length === 0) this.#fail(error);
  }

  exitIdle(): void {
    if (this.#state !== "IDLE") return;
    this.#isWanted = true;
    if (this.#addresses.length > 0) this.#begin();
  }

  close(): void {
    this.#isClosed = true;
    this.#selected = undefined;
    this.#state = "SHUTDOWN";
    this.#releaseAllBut(undefined);
  }

  onSubchannelState(subchannel: Subchannel): void {
    if (this.#isClosed) return;
    if (subchannel === this.#selected) {
      if (subchannel.state === "READY") return;
      this.#selected = undefined;
      if (subchannel.state === "TRANSIENT_FAILURE") {
        // Connected, and not healthy: it comes back by itself.
        this.#tried = 1;
        this.#failed.add(subchannel);
        this.#failIfAllDid(subchannel);
        return;
      }
      this.#releaseAllBut(undefined);
      this.#become("IDLE", queuePicker);
      this.#options.onResolutionWanted?.();
      return;
    }
    if (this.#selected !== undefined || this.#state === "IDLE") return;
    const { state } = subchannel;
    if (state === "READY") this.#select(subchannel);
    else if (state === "TRANSIENT_FAILURE") {
      this.#failed.add(subchannel);
      // The next needn't wait for its turn.
      if (this.#tried < this.#subchannels.length) this.#tryNext();
      else this.#failIfAllDid(subchannel);
    } else if (state === "IDLE" && this.#tried === this.#subchannels.length) subchannel.connect();
  }

  /** From the first address on. */
  #begin(): void {
    this.#tried = 0;
    this.#isWanted = false;
    this.#acquireAll();
    const ready = this.#subchannels.find((subchannel) => subchannel.state === "READY");
    if (ready !== undefined) {
      this.#select(ready);
      return;
    }
    // A failure is reported until something connects: calls fail at once instead of waiting for the same again.
    if (this.#state !== "TRANSIENT_FAILURE") this.#become("CONNECTING", queuePicker);
    this.#tryNext();
  }

  /** Goes on to the next address that hasn't failed yet; the one after it has its turn a little later. */
  #tryNext(): void {
    this.#stopDelay();
    while (this.#tried < this.#subchannels.length) {
      const subchannel = this.#subchannels[this.#tried++]!;
      if (subchannel.state === "TRANSIENT_FAILURE") {
        this.#failed.add(subchannel);
        continue;
      }
      if (this.#tried < this.#subchannels.length) {
        this.#cancelDelay = this.#options.pool.clock.schedule(attemptDelayMs, () => this.#tryNext());
      }
      // Its states come back here, from within too.
      subchannel.connect();
      return;
    }
    const last = this.#subchannels.at(-1);
    if (last !== undefined) this.#failIfAllDid(last);
    // Those whose back-off is over meanwhile.
    for (const subchannel of this.#subchannels) subchannel.connect();
  }

  #stopDelay(): void {
    this.#cancelDelay?.();
    this.#cancelDelay = undefined;
  }

  #select(subchannel: Subchannel): void {
    this.#selected = subchannel;
    // The others' attempts are called off, unless somebody else needs them.
    this.#releaseAllBut(subchannel);
    this.#become("READY", { kind: "ready", pick: () => subchannel });
  }

  #acquireAll(): void {
    const { pool, connectOptions } = this.#options;
    const subchannels = this.#addresses.map((address) => pool.acquire(address, connectOptions));
    // Acquired before the others go: what stays is never closed in between.
    this.#releaseAllBut(undefined);
    this.#subchannels = subchannels;
    for (const subchannel of subchannels) subchannel.watch(this);
  }

  #releaseAllBut(kept: Subchannel | undefined): void {
    this.#stopDelay();
    this.#failed.clear();
    const before = this.#subchannels;
    this.#subchannels = kept === undefined ? [] : [kept];
    for (const subchannel of before) {
      if (subchannel === kept) continue;
      subchannel.unwatch(this);
      void this.#options.pool.release(subchannel);
    }
  }

  /** Once each of them has failed, a failure is told, and anew with each further one. */
  #failIfAllDid(subchannel: Subchannel): void {
    const count = this.#subchannels.length;
    if (this.#failed.size < count) return;
    const { lastError } = subchannel;
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
