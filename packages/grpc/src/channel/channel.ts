import { insecure } from "../identity/credentials.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import { CallHead } from "../rpc/call-head.ts";
import { type CallListener, type CallOwner, ClientCall, type StartOptions } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { defaultMaxReceiveMessageBytes } from "../rpc/message-framing.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import { PoolShare } from "../subchannel/pool-share.ts";
import type { Subchannel } from "../subchannel/subchannel.ts";
import { type SubchannelPool, sharedSubchannels } from "../subchannel/subchannel-pool.ts";
import { authorityOf } from "./authority.ts";
import { registerBuiltInResolvers } from "./built-in-resolvers.ts";
import { CallQueue } from "./call-queue.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { trackChannel } from "./channel-registry.ts";
import {
  type CallRoute,
  type CallRouter,
  type Resolver,
  type ResolverFactory,
  type ResolverListener,
  resolverLoader,
} from "./resolver.ts";
import { parseTarget, type Target } from "./target.ts";
import { userAgent } from "./user-agent.ts";

registerBuiltInResolvers();

const defaultMaxQueuedCalls = 10_000;
const noMetadata = new Metadata();

/**
 * Calls to one target: resolves it, routes each call to a balancer and runs it on the connection that this picks.
 *
 *   startCall → router (of the resolver) → balancer's picker → subchannel → stream
 *
 * Nothing happens before the first call. Calls wait, bounded and within their deadline, while there is no router and while
 * connections are made. An unused channel keeps no process alive.
 */
export class Channel implements CallOwner, AsyncDisposable {
  readonly target: string;
  readonly authority: string;
  readonly counts = new CallCounts();
  readonly #target: Target;
  readonly #options: ChannelOptions;
  readonly #pool: PoolShare;
  readonly #userAgent: string;
  readonly #maxReceiveBytes: number;
  readonly #heads = new Map<string, CallHead>();
  readonly #open: ClientCall[] = [];
  readonly #queue: CallQueue;
  #resolver: Resolver | undefined;
  #hasStarted = false;
  #router: CallRouter | undefined;
  #resolverError: RpcError | undefined;
  #isClosed = false;
  readonly #forget: () => void;
  #stateWatchers: (() => void)[] = [];

  /** Throws a TypeError for a target that can't be meant. */
  constructor(target: string, options: ChannelOptions = {}, pool: SubchannelPool = sharedSubchannels) {
    this.target = target;
    this.#target = parseTarget(target, (scheme) => resolverLoader(scheme) !== undefined);
    this.authority = options.authority ?? authorityOf(this.#target);
    this.#options = options;
    this.#pool = new PoolShare(pool);
    this.#userAgent = userAgent(options.userAgent);
    this.#maxReceiveBytes = options.maxReceiveMessageBytes ?? defaultMaxReceiveMessageBytes;
    this.#queue = new CallQueue(options.maxQueuedCalls ?? defaultMaxQueuedCalls, (call) => this.#dispatch(call));
    this.#forget = trackChannel(this);
  }

  /** What its calls run on at present. Other channels may use them too. */
  get subchannels(): Subchannel[] {
    return this.#pool.subchannels;
  }

  /** What all calls of the method at `path` share; the same object each time. */
  callHead(path: string): CallHead {
    let head = this.#heads.get(path);
    if (head === undefined) {
      head = new CallHead(path, this.authority, this.#userAgent);
      this.#heads.set(path, head);
    }
    return head;
  }

  /**
   * Starts a call; `listener` hears of it, its status once and last (from within, where the call fails at once).
   *
   * With `request` the call has exactly that request message; without it, send with `sendMessage` and `halfClose`.
   */
  startCall(
    head: CallHead,
    options: StartOptions | undefined,
    listener: CallListener,
    request: Uint8Array | undefined,
  ): ClientCall {
    this.counts.onStarted();
    const call = new ClientCall(head, options, listener, this, request, this.#maxReceiveBytes);
    call.openIndex = this.#open.push(call) - 1;
    if (options !== undefined) call.admit();
    if (!call.isEnded) this.restart(call);
    return call;
  }

  /** The channel's state. `tryToConnect` makes an idle channel connect. */
  connectivityState(tryToConnect = false): ConnectivityState {
    if (tryToConnect && !this.#isClosed) {
      this.#start();
      this.#router?.exitIdle?.();
    }
    if (this.#isClosed) return "SHUTDOWN";
    if (this.#router !== undefined) return this.#router.connectivityState?.() ?? "READY";
    if (this.#resolverError !== undefined) return "TRANSIENT_FAILURE";
    return this.#hasStarted ? "CONNECTING" : "IDLE";
  }

  /** Resolves once the state is no longer `state`; rejects when `signal` aborts. Does not keep the process alive. */
  watchConnectivityState(state: ConnectivityState, signal?: AbortSignal): Promise<ConnectivityState> {
    return new Promise((resolve, reject) => {
      const check = () => {
        const current = this.connectivityState();
        if (current === state) return;
        stop();
        resolve(current);
      };
      const aborted = () => {
        stop();
        reject(signal?.reason);
      };
      const stop = () => {
        this.#stateWatchers = this.#stateWatchers.filter((watcher) => watcher !== check);
        signal?.removeEventListener("abort", aborted);
      };
      this.#stateWatchers.push(check);
      signal?.addEventListener("abort", aborted, { once: true });
      if (signal?.aborted === true) aborted();
      else check();
    });
  }

  /** Ends open calls with CANCELLED, refuses new ones with UNAVAILABLE and gives the connections back. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#forget();
    for (const call of [...this.#open]) call.cancel("CANCELLED", "the channel was closed");
    this.#resolver?.close();
    this.#router = undefined;
    this.#stateChanged();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // As the owner of calls.

  restart(call: ClientCall): void {
    if (this.#dispatch(call)) return;
    if (this.#queue.add(call)) return;
    call.cancel("RESOURCE_EXHAUSTED", `${this.#queue.size} calls wait for a connection to ${this.target} already`);
  }

  describeWait(call: ClientCall): string {
    if (this.#router === undefined) {
      const why = this.#resolverError === undefined ? "" : `: ${this.#resolverError.details}`;
      return `the resolver of ${this.target}${why}`;
    }
    const route = this.#routeOf(call, this.#router);
    if (route instanceof RpcError) return route.details;
    const { picker } = route.balancer;
    if (picker.kind === "fail") return `a connection: ${picker.error.details}`;
    return picker.kind === "ready" ? picker.pick().describeWait() : "a connection";
  }

  onCallEnded(call: ClientCall): void {
    this.counts.onEnded(call.status);
    if (call.hasWaited) this.#queue.delete(call);
    const last = this.#open.pop();
    if (last === undefined || last === call) return;
    this.#open[call.openIndex] = last;
    last.openIndex = call.openIndex;
  }

  /** Starts `call` or ends it; false when it has to wait. */
  #dispatch(call: ClientCall): boolean {
    if (this.#isClosed) {
      call.cancel("UNAVAILABLE", "the channel is closed");
      return true;
    }
    const router = this.#router;
    if (router === undefined) return this.#dispatchWithoutRouter(call);
    const route = this.#routeOf(call, router);
    if (route instanceof RpcError) {
      call.fail(route);
      return true;
    }
    if (route.timeoutMs > 0) call.limitTimeout(route.timeoutMs);
    const { balancer } = route;
    if (balancer.picker.kind === "queue") balancer.exitIdle();
    const { picker } = balancer;
    switch (picker.kind) {
      case "ready":
        return picker.pick().startCall(call);
      case "fail":
        if (call.waitForReady) return false;
        call.fail(picker.error);
        return true;
      case "queue":
        return false;
    }
  }

  /** The route of `call`: drawn once, and again only when there is a new router. */
  #routeOf(call: ClientCall, router: CallRouter): CallRoute | RpcError {
    if (call.routedBy === router) return call.route as CallRoute;
    const route = router.route(call.head.path, call.metadata ?? noMetadata);
    if (!(route instanceof RpcError)) {
      call.route = route;
      call.routedBy = router;
    }
    return route;
  }

  #dispatchWithoutRouter(call: ClientCall): boolean {
    this.#start();
    // A resolver that answers at once has routed nothing yet: the call is in no queue.
    if (this.#router !== undefined) return this.#dispatch(call);
    if (this.#resolverError === undefined || call.waitForReady) return false;
    call.fail(this.#resolverError);
    return true;
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    const load = resolverLoader(this.#target.scheme)!;
    try {
      const factory = load();
      if (typeof factory === "function") this.#resolver = this.#resolve(factory);
      else factory.then((loaded) => this.#adopt(loaded)).catch((error: unknown) => this.#onResolverError(error));
    } catch (error) {
      this.#onResolverError(error);
    }
  }

  #adopt(factory: ResolverFactory): void {
    if (!this.#isClosed) this.#resolver = this.#resolve(factory);
  }

  #resolve(factory: ResolverFactory): Resolver {
    const listener: ResolverListener = {
      onRouter: (router) => this.#onRouter(router),
      onError: (error) => this.#onResolverError(error),
    };
    return factory(this.#target, listener, {
      pool: this.#pool,
      credentials: this.#options.credentials ?? insecure,
      options: this.#options,
      authority: this.authority,
      pickerChanged: () => this.#retry(),
    });
  }

  #onRouter(router: CallRouter): void {
    if (this.#isClosed) return;
    this.#router = router;
    this.#resolverError = undefined;
    this.#retry();
  }

  #onResolverError(reason: unknown): void {
    if (this.#isClosed || this.#router !== undefined) return;
    this.#resolverError =
      reason === undefined || reason instanceof RpcError
        ? reason
        : new RpcError("UNAVAILABLE", messageOf(reason), { cause: reason });
    this.#retry();
  }

  /** Something that calls wait for has changed. */
  #retry(): void {
    this.#queue.flush();
    this.#stateChanged();
  }

  #stateChanged(): void {
    for (const watcher of [...this.#stateWatchers]) watcher();
  }
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
