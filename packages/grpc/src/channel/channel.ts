// Over 300 lines: the owner of calls and the listener of the resolver share all of a channel's state.
import { insecure } from "../identity/credentials.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import type { CallCredentials } from "../rpc/call-credentials.ts";
import { CallHead } from "../rpc/call-head.ts";
import { type CallListener, ClientCall, type StartOptions } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { HedgedCall, type HedgingOwner } from "../rpc/hedged-call.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { RetryEnvironment } from "../rpc/retry-policy.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import { PoolShare } from "../subchannel/pool-share.ts";
import type { Subchannel } from "../subchannel/subchannel.ts";
import { type SubchannelPool, sharedSubchannels } from "../subchannel/subchannel-pool.ts";
import { authorityOf } from "./authority.ts";
import { authorize } from "./authorization.ts";
import { registerBuiltInResolvers } from "./built-in-resolvers.ts";
import { CallQueue } from "./call-queue.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { trackChannel } from "./channel-registry.ts";
import { IdleTimer } from "./idle-timer.ts";
import { methodSettings, retryEnvironment } from "./method-settings.ts";
import { OpenCalls } from "./open-calls.ts";
import { type ProxyChoice, proxyChoice } from "./proxy-choice.ts";
import {
  type CallRoute,
  type CallRouter,
  type Resolver,
  type ResolverFactory,
  type ResolverListener,
  resolverLoader,
} from "./resolver.ts";
import { parseServiceConfig, type ServiceConfig } from "./service-config.ts";
import { StateWatchers } from "./state-watchers.ts";
import { parseTarget, type Target } from "./target.ts";
import { userAgent } from "./user-agent.ts";

registerBuiltInResolvers();

const defaultMaxQueuedCalls = 10_000;
const defaultIdleTimeoutMs = 30 * 60_000;
/** Heads beyond this many are made anew: a caller that makes up methods or hosts must not fill the memory. */
const mostHeads = 10_000;
/** A day: only a handle that keeps the process alive, cleared long before. */
const foreverMs = 86_400_000;
const noMetadata = new Metadata();

/**
 * Calls to one target: resolves it, routes each call to a balancer and runs it on the connection that this picks.
 *
 *   startCall → router (of the resolver) → balancer's picker → subchannel → stream
 *
 * Nothing happens before the first call, and nothing is left after a long time without one. Calls wait, bounded and within
 * their deadline, while there is no router and while connections are made. An unused channel keeps no process alive.
 */
export class Channel implements HedgingOwner, AsyncDisposable {
  readonly target: string;
  readonly authority: string;
  readonly counts = new CallCounts();
  readonly #target: Target;
  readonly #options: ChannelOptions;
  readonly #serviceConfig: ServiceConfig | undefined;
  readonly #retries: RetryEnvironment;
  readonly #callCredentials: CallCredentials | undefined;
  readonly #proxyFor: ProxyChoice;
  readonly #pool: PoolShare;
  readonly #userAgent: string;
  readonly #heads = new Map<string, CallHead>();
  readonly #open = new OpenCalls();
  readonly #queue: CallQueue;
  readonly #idle: IdleTimer;
  readonly #watchers = new StateWatchers(() => this.connectivityState());
  readonly #forget: () => void;
  #resolver: Resolver | undefined;
  /** Counts the times that it was started: what an earlier resolver still says is not heard. */
  #starts = 0;
  #hasStarted = false;
  #router: CallRouter | undefined;
  #resolverError: RpcError | undefined;
  #isClosed = false;
  #onLastCall: (() => void) | undefined;

  /** Throws a TypeError for a target, a service config or a proxy that can't be meant. */
  constructor(target: string, options: ChannelOptions = {}, pool: SubchannelPool = sharedSubchannels) {
    this.target = target;
    this.#target = parseTarget(target, (scheme) => resolverLoader(scheme) !== undefined);
    this.authority = options.authority ?? authorityOf(this.#target);
    this.#options = options;
    this.#serviceConfig = options.serviceConfig === undefined ? undefined : parseServiceConfig(options.serviceConfig);
    this.#retries = retryEnvironment(options, this.#serviceConfig, pool.random);
    this.#callCredentials = options.callCredentials;
    this.#proxyFor = proxyChoice(this.#target, options);
    this.#pool = new PoolShare(pool);
    this.#userAgent = userAgent(options.userAgent);
    this.#queue = new CallQueue(options.maxQueuedCalls ?? defaultMaxQueuedCalls, (call) => this.#dispatch(call));
    const idleTimeoutMs = options.idleTimeoutMs ?? defaultIdleTimeoutMs;
    this.#idle = new IdleTimer(
      idleTimeoutMs,
      pool.clock,
      () => this.#open.size > 0,
      () => this.#rest(),
    );
    this.#forget = options.isListed === false ? () => undefined : trackChannel(this);
  }

  /** What its calls run on at present. Other channels may use them too. */
  get subchannels(): Subchannel[] {
    return this.#pool.subchannels;
  }

  /** What all calls of the method at `path` share; mostly the same object each time. `authority`: for calls to another host. */
  callHead(path: string, authority: string = this.authority): CallHead {
    const key = authority === this.authority ? path : `${authority} ${path}`;
    let head = this.#heads.get(key);
    if (head === undefined) {
      if (this.#heads.size >= mostHeads) this.#heads.clear();
      const settings = methodSettings(path, this.#options, this.#serviceConfig, this.#retries);
      head = new CallHead(path, authority, this.#userAgent, settings);
      this.#heads.set(key, head);
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
    const { settings } = head;
    this.counts.onStarted();
    this.#idle.events++;
    const call =
      settings.hedging === undefined
        ? new ClientCall(head, options, listener, this, request)
        : new HedgedCall(head, options, listener, this, request);
    this.#open.add(call);
    if (this.#isClosed) call.cancel("UNAVAILABLE", "the channel is closed");
    if (request !== undefined && request.length > settings.maxSendBytes) call.refuseMessage(request.length);
    if (options !== undefined && !call.isEnded) call.admit();
    if (call.isEnded) return call;
    if (this.#callCredentials !== undefined || options?.credentials !== undefined) this.#authorize(call, options);
    else if (settings.hedging === undefined) this.restart(call);
    else call.proceed();
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
    return this.#watchers.changed(state, signal);
  }

  /**
   * Refuses new calls with UNAVAILABLE, lets open ones go on for `graceMs` (default 0; Infinity: as long as they take), ends
   * the rest with CANCELLED and gives the connections back. Resolves when those that nobody else uses have closed. A later
   * call may shorten the time.
   */
  async close({ graceMs = 0 }: { readonly graceMs?: number } = {}): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#watchers.notify();
    }
    // Sockets that are on their way out don't keep the process alive, but whoever waits for them does.
    const hold = setInterval(() => undefined, foreverMs);
    if (graceMs > 0 && this.#open.size > 0) await this.#lastCall(graceMs);
    for (const call of this.#open.toArray()) call.cancel("CANCELLED", "the channel was closed");
    this.#forget();
    this.#stop();
    await this.#pool.closed();
    clearInterval(hold);
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

  proceedLater(call: ClientCall, delayMs: number): void {
    const cancel = this.#pool.clock.schedule(delayMs, () => {
      if (this.#queue.unpark(call)) call.proceed();
    });
    this.#queue.park(call, cancel);
  }

  stopWaiting(call: ClientCall): void {
    if (call.hasWaited) this.#queue.delete(call);
  }

  describeWait(call: ClientCall): string {
    if (this.#queue.isParked(call)) {
      return call.previousAttempts > 0 ? `its attempt ${call.previousAttempts + 1}` : "its credentials";
    }
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

  onAttemptEnded(attempt: ClientCall): void {
    if (attempt.hasWaited) this.#queue.delete(attempt);
  }

  onCallEnded(call: ClientCall): void {
    this.counts.onEnded(call.status);
    if (call.hasWaited) this.#queue.delete(call);
    this.#open.delete(call);
    if (this.#onLastCall !== undefined && this.#open.size === 0) this.#onLastCall();
  }

  /** Resolves when the last call has ended, at the latest after `graceMs`. */
  #lastCall(graceMs: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = Number.isFinite(graceMs) ? this.#pool.clock.schedule(graceMs, resolve) : undefined;
      const others = this.#onLastCall;
      this.#onLastCall = () => {
        others?.();
        cancel?.();
        resolve();
      };
    });
  }

  #authorize(call: ClientCall, options: StartOptions | undefined): void {
    if ((this.#options.credentials ?? insecure).kind === "insecure") {
      call.cancel("UNAUTHENTICATED", `call credentials are not sent in plaintext, which ${this.target} is dialled in`);
      return;
    }
    this.#queue.park(call, () => undefined);
    const credentials = [this.#callCredentials, options?.credentials].filter((each) => each !== undefined);
    authorize(call, credentials, () => {
      if (this.#queue.unpark(call)) call.proceed();
    });
  }

  /** Starts `call` or ends it; false when it has to wait. */
  #dispatch(call: ClientCall): boolean {
    const router = this.#router;
    if (router === undefined) return this.#dispatchWithoutRouter(call);
    const route = this.#routeOf(call, router);
    if (route instanceof RpcError) {
      call.fail(route);
      return true;
    }
    const { balancer } = route;
    if (balancer.picker.kind === "queue") balancer.exitIdle();
    const { picker } = balancer;
    switch (picker.kind) {
      case "ready":
        return picker.pick().startCall(call);
      case "fail":
        if (call.waitForReady) return false;
        call.failAttempt(picker.error);
        return true;
      case "queue":
        return false;
    }
  }

  /** The route of `call`: drawn once, and again only when there is a new router. */
  #routeOf(call: ClientCall, router: CallRouter): CallRoute | RpcError {
    if (call.routedBy === router) return call.route as CallRoute;
    const route = router.route(call.head.path, call.metadata ?? noMetadata);
    if (route instanceof RpcError) return route;
    call.route = route;
    call.routedBy = router;
    if (route.timeoutMs > 0) call.limitTimeout(route.timeoutMs);
    if (route.retry !== undefined && this.#options.retries !== false) call.allowRetries(route.retry, this.#retries);
    return route;
  }

  #dispatchWithoutRouter(call: ClientCall): boolean {
    this.#start();
    // A resolver that answers at once has routed nothing yet: the call is in no queue.
    if (this.#router !== undefined) return this.#dispatch(call);
    if (this.#resolverError === undefined || call.waitForReady) return false;
    call.failAttempt(this.#resolverError);
    return true;
  }

  #start(): void {
    if (this.#hasStarted) return;
    this.#hasStarted = true;
    this.#idle.start();
    const start = ++this.#starts;
    const load = resolverLoader(this.#target.scheme)!;
    try {
      const factory = load();
      if (typeof factory === "function") this.#resolve(factory, start);
      else {
        factory
          .then((loaded) => this.#resolve(loaded, start))
          .catch((error: unknown) => this.#onResolverError(error, start));
      }
    } catch (error) {
      this.#onResolverError(error, start);
    }
  }

  /** Back to where it was before its first call. */
  #stop(): void {
    this.#idle.stop();
    this.#hasStarted = false;
    this.#starts++;
    this.#resolver?.close();
    this.#resolver = undefined;
    this.#router = undefined;
    this.#resolverError = undefined;
  }

  /** Nobody has called for a long time. */
  #rest(): void {
    this.#stop();
    this.#watchers.notify();
  }

  #resolve(factory: ResolverFactory, start: number): void {
    if (start !== this.#starts) return;
    const listener: ResolverListener = {
      onRouter: (router) => this.#onRouter(router, start),
      onError: (error) => this.#onResolverError(error, start),
    };
    const resolver = factory(this.#target, listener, {
      pool: this.#pool,
      credentials: this.#options.credentials ?? insecure,
      options: this.#options,
      serviceConfig: this.#serviceConfig,
      authority: this.authority,
      proxyFor: this.#proxyFor,
      pickerChanged: () => this.#retry(),
    });
    // What it said at once may have led to the channel's end.
    if (start === this.#starts) this.#resolver = resolver;
    else resolver.close();
  }

  #onRouter(router: CallRouter, start: number): void {
    if (start !== this.#starts) return;
    this.#router = router;
    this.#resolverError = undefined;
    this.#retry();
  }

  #onResolverError(reason: unknown, start: number): void {
    if (start !== this.#starts || this.#router !== undefined) return;
    this.#resolverError =
      reason === undefined || reason instanceof RpcError
        ? reason
        : new RpcError("UNAVAILABLE", messageOf(reason), { cause: reason });
    this.#retry();
  }

  /** Something that calls wait for has changed. */
  #retry(): void {
    this.#queue.flush();
    this.#watchers.notify();
  }
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}
