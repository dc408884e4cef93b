import { RpcError } from "../rpc/error.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { Subchannel } from "../subchannel/subchannel.ts";
import type { Balancer, BalancerOptions } from "./balancer.ts";
import { type Endpoint, endpointKey } from "./endpoint.ts";
import { PickFirst } from "./pick-first.ts";
import { type Picker, queuePicker } from "./picker.ts";
import { weightedSequence } from "./weighted-sequence.ts";

interface Child {
  readonly balancer: PickFirst;
  weight: number;
  /** Once it failed it counts as failed until it is READY again. */
  hasFailed: boolean;
}

/** Calls take turns among the endpoints that are READY, in proportion to their weights; all endpoints are kept connected. */
export class RoundRobin implements Balancer {
  readonly #options: BalancerOptions;
  readonly #random: () => number;
  #children = new Map<string, Child>();
  #state: ConnectivityState = "CONNECTING";
  #picker: Picker = queuePicker;
  #lastError: RpcError | undefined;
  #isUpdating = false;
  #needsUpdate = false;
  #isClosed = false;

  constructor(options: BalancerOptions) {
    this.#options = options;
    this.#random = options.random ?? Math.random;
  }

  get picker(): Picker {
    return this.#picker;
  }

  get state(): ConnectivityState {
    return this.#state;
  }

  updateEndpoints(endpoints: readonly Endpoint[]): void {
    const before = this.#children;
    this.#children = new Map();
    // One picker for the whole change.
    this.#isUpdating = true;
    for (const endpoint of endpoints) {
      const key = endpointKey(endpoint);
      const weight = endpoint.weight ?? 1;
      const child = this.#children.get(key);
      if (child !== undefined) child.weight += weight;
      else this.#children.set(key, this.#childFor(endpoint, weight, before.get(key)));
    }
    for (const [key, child] of before) if (!this.#children.has(key)) child.balancer.close();
    this.#isUpdating = false;
    if (endpoints.length === 0) this.#lastError = new RpcError("UNAVAILABLE", "there are no endpoints");
    this.#update();
  }

  onResolverError(error: RpcError): void {
    if (this.#children.size > 0) return;
    this.#lastError = error;
    this.#become("TRANSIENT_FAILURE", { kind: "fail", error });
  }

  exitIdle(): void {
    // Never IDLE: every endpoint is kept connected.
  }

  close(): void {
    this.#isClosed = true;
    for (const child of this.#children.values()) child.balancer.close();
    this.#children.clear();
    this.#state = "SHUTDOWN";
  }

  #childFor(endpoint: Endpoint, weight: number, existing: Child | undefined): Child {
    if (existing !== undefined) {
      existing.weight = weight;
      return existing;
    }
    const balancer = new PickFirst({
      ...this.#options,
      onPicker: (picker) => {
        if (picker.kind === "fail") this.#lastError = picker.error;
        this.#update();
      },
    });
    balancer.updateEndpoints([endpoint]);
    return { balancer, weight, hasFailed: false };
  }

  /** Children change their pickers while they are told to connect: one update at a time, and another if need be. */
  #update(): void {
    this.#needsUpdate = true;
    if (this.#isUpdating || this.#isClosed) return;
    this.#isUpdating = true;
    while (this.#needsUpdate) {
      this.#needsUpdate = false;
      for (const child of this.#children.values()) child.balancer.exitIdle();
    }
    this.#isUpdating = false;
    this.#aggregate();
  }

  #aggregate(): void {
    const ready: Child[] = [];
    let isConnecting = false;
    for (const child of this.#children.values()) {
      const { state } = child.balancer;
      if (state === "READY") ready.push(child);
      child.hasFailed = state === "TRANSIENT_FAILURE" || (child.hasFailed && state !== "READY");
      if (!child.hasFailed && state !== "READY") isConnecting = true;
    }
    if (ready.length > 0) this.#become("READY", this.#readyPicker(ready));
    else if (isConnecting) this.#become("CONNECTING", queuePicker);
    else this.#become("TRANSIENT_FAILURE", { kind: "fail", error: this.#failure() });
  }

  #failure(): RpcError {
    const count = this.#children.size;
    const last = this.#lastError;
    if (last === undefined || count <= 1) return last ?? new RpcError("UNAVAILABLE", "no endpoint could be reached");
    return new RpcError("UNAVAILABLE", `none of ${count} endpoints could be reached; the last error: ${last.details}`, {
      cause: last.cause,
    });
  }

  #readyPicker(ready: readonly Child[]): Picker {
    const subchannels: Subchannel[] = [];
    for (const { balancer } of ready) if (balancer.picker.kind === "ready") subchannels.push(balancer.picker.pick());
    const [only] = subchannels;
    if (only !== undefined && subchannels.length === 1) return { kind: "ready", pick: () => only };
    const order = weightedSequence(ready.map((child) => child.weight)).map((index) => subchannels[index]!);
    // A random start, so that many clients don't all begin with the same endpoint.
    let next = Math.floor(this.#random() * order.length);
    return {
      kind: "ready",
      pick() {
        const first = order[next]!;
        next = next + 1 === order.length ? 0 : next + 1;
        if (first.hasCapacity) return first;
        // It has as many calls as the peer allows: another may have room until it has one more connection.
        first.addConnection();
        return subchannels.find((subchannel) => subchannel.hasCapacity) ?? first;
      },
    };
  }

  #become(state: ConnectivityState, picker: Picker): void {
    if (this.#isClosed) return;
    this.#state = state;
    this.#picker = picker;
    this.#options.onPicker(picker);
  }
}
