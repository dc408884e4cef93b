import type { Clock } from "../clock.ts";
import type { Http2Error } from "../http2/error.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import type { ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { type Address, addressText } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { ClientConnection, type ConnectionOwner } from "./client-connection.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { ConnectivityState } from "./connectivity-state.ts";
import { connectFailureText, type OpenSocket, openSocket } from "./socket.ts";

/** Time and chance, passed in by tests. */
export interface SubchannelEnvironment {
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Who wants to know of a subchannel's states. */
export interface SubchannelWatcher {
  onSubchannelState(subchannel: Subchannel): void;
}

const defaultConnectTimeoutMs = 20_000;
const maxWaitingCalls = 10_000;
/** Calls that left the queue are forgotten so many at a time, or when a full queue is looked through. */
const fewestForgotten = 1000;

/**
 * One address, and at most one connection to it that takes new calls.
 *
 *   IDLE -connect()→ CONNECTING -peer's SETTINGS→ READY -GOAWAY, loss→ IDLE
 *                        └-failure→ TRANSIENT_FAILURE -back-off→ IDLE
 *
 * Shared by the balancers of several channels through the pool. Connects only when told to. Calls beyond the peer's
 * MAX_CONCURRENT_STREAMS wait here, in order.
 */
export class Subchannel implements ConnectionOwner {
  readonly address: Address;
  /** The address as it stands in messages. */
  readonly peer: string;
  readonly #options: ConnectOptions;
  readonly #environment: SubchannelEnvironment;
  readonly #backoff: Backoff;
  readonly #watchers = new Set<SubchannelWatcher>();
  #state: ConnectivityState = "IDLE";
  #lastError: RpcError | undefined;
  /** The connection that takes new calls, or will once it is ready. */
  #current: ClientConnection | undefined;
  /** That one, and those whose last calls still run. */
  readonly #connections = new Set<ClientConnection>();
  readonly #pastCounts = new CallCounts();
  #attempt: AbortController | undefined;
  #attemptStartedAt = 0;
  #cancelTimer: (() => void) | undefined;
  #waiting: ClientCall[] = [];
  /** Calls that a full queue has refused since it was last searched for ended ones: not worth the search each time. */
  #refused = 0;
  #nextWaiting = 0;

  constructor(address: Address, options: ConnectOptions, environment: SubchannelEnvironment) {
    this.address = address;
    this.peer = addressText(address);
    this.#options = options;
    this.#environment = environment;
    this.#backoff = new Backoff(options.initialBackoffMs ?? 1000, options.maxBackoffMs ?? 120_000, environment.random);
  }

  get state(): ConnectivityState {
    return this.#state;
  }

  /** Why the last attempt failed, or the last connection ended; undefined while READY. */
  get lastError(): RpcError | undefined {
    return this.#lastError;
  }

  /** Its open connections, also those that take no new calls. */
  get connections(): ReadonlySet<ClientConnection> {
    return this.#connections;
  }

  /** The calls over all connections it ever had; a fresh object. */
  countCalls(): CallCounts {
    const counts = new CallCounts();
    counts.add(this.#pastCounts);
    for (const connection of this.#connections) counts.add(connection.counts);
    return counts;
  }

  /** Whether a call would start at once. */
  get hasCapacity(): boolean {
    return this.#state === "READY" && this.#current!.connection.canOpenStream;
  }

  /** Tells `watcher` of each change of state, from the next one on. */
  watch(watcher: SubchannelWatcher): void {
    this.#watchers.add(watcher);
  }

  unwatch(watcher: SubchannelWatcher): void {
    this.#watchers.delete(watcher);
  }

  /** Connects, if IDLE. In back-off nothing happens: IDLE comes after it. */
  connect(): void {
    if (this.#state !== "IDLE") return;
    const { clock } = this.#environment;
    const timeoutMs = this.#options.connectTimeoutMs ?? defaultConnectTimeoutMs;
    const attempt = new AbortController();
    this.#attempt = attempt;
    this.#attemptStartedAt = clock.now();
    this.#cancelTimer = clock.schedule(timeoutMs, () => {
      this.#failAttempt(new Error(`no answer within ${timeoutMs} ms`));
    });
    this.#setState("CONNECTING");
    openSocket(this.address, this.#options, timeoutMs, attempt.signal).then(
      (opened) => {
        if (attempt.signal.aborted) opened.socket.destroy();
        else this.#adopt(opened);
      },
      (error: unknown) => {
        if (!attempt.signal.aborted) this.#failAttempt(error);
      },
    );
  }

  /** Runs `call`, now or when the peer allows one more. False when there is no connection to run it on. */
  startCall(call: ClientCall): boolean {
    if (this.#state !== "READY") return false;
    const transport = this.#current!;
    if (this.#nextWaiting === this.#waiting.length && transport.connection.canOpenStream) {
      call.start(transport);
    } else {
      this.#enqueue(call);
    }
    return true;
  }

  /** What a call that was given to this subchannel waits for. */
  describeWait(): string {
    return this.#state === "READY" ? `a free stream on ${this.peer}` : `a connection to ${this.peer}`;
  }

  /** For the pool: takes no more calls; open ones go on, and the connections end with the last of them. */
  close(): void {
    if (this.#state === "SHUTDOWN") return;
    this.#stopAttempt(new Error("the subchannel was closed"));
    this.#setState("SHUTDOWN");
    this.#watchers.clear();
    const current = this.#current;
    this.#current = undefined;
    this.#returnWaiting();
    current?.connection.goaway();
  }

  // As the owner of connections.

  onReady(connection: ClientConnection): void {
    if (connection !== this.#current) return;
    this.#stopAttempt(undefined);
    this.#backoff.reset();
    this.#drainAtExpiry(connection);
    this.#lastError = undefined;
    this.#setState("READY");
  }

  onCapacity(connection: ClientConnection): void {
    if (connection !== this.#current || this.#state !== "READY") return;
    while (this.#nextWaiting < this.#waiting.length && connection.connection.canOpenStream) {
      const call = this.#waiting[this.#nextWaiting++]!;
      if (!call.isEnded) call.start(connection);
    }
    if (this.#nextWaiting === this.#waiting.length && this.#nextWaiting > 0) this.#clearWaiting();
    else if (this.#nextWaiting >= fewestForgotten && this.#nextWaiting * 2 >= this.#waiting.length) {
      // A queue that never runs empty must not keep the calls that left it.
      this.#waiting = this.#waiting.slice(this.#nextWaiting);
      this.#nextWaiting = 0;
    }
  }

  onGoaway(connection: ClientConnection, _code: number, debug: string): void {
    // Open calls end on it, then it closes.
    connection.connection.goaway();
    if (connection !== this.#current) return;
    const why = debug === "" ? "" : `: ${JSON.stringify(debug.slice(0, 200))}`;
    this.#lose(new RpcError("UNAVAILABLE", `${this.peer} asked to go elsewhere (GOAWAY)${why}`));
  }

  onClose(connection: ClientConnection, error: Http2Error | undefined): void {
    if (this.#connections.delete(connection)) this.#pastCounts.add(connection.counts);
    if (connection !== this.#current) return;
    if (this.#state === "CONNECTING") {
      this.#current = undefined;
      this.#failAttempt(this.#explainEarlyEnd(error));
    } else {
      const why =
        error === undefined ? "it was closed" : error.cause instanceof Error ? error.cause.message : error.message;
      this.#lose(new RpcError("UNAVAILABLE", `the connection to ${this.peer} ended: ${why}`, { cause: error }));
    }
  }

  #adopt(opened: OpenSocket): void {
    const { clock } = this.#environment;
    const { credentials, keepalive } = this.#options;
    this.#current = new ClientConnection(opened, this.peer, credentials.kind !== "insecure", this, keepalive, clock);
    this.#connections.add(this.#current);
  }

  /** A connection outlives neither its peer's certificate nor this subchannel's use of it. */
  #drainAtExpiry(connection: ClientConnection): void {
    const notAfter = connection.tlsPeer?.notAfter;
    if (notAfter === undefined) return;
    const { clock } = this.#environment;
    this.#cancelTimer = clock.schedule(notAfter.getTime() - clock.now(), () => {
      connection.connection.goaway();
      if (connection === this.#current)
        this.#lose(new RpcError("UNAVAILABLE", `the certificate of ${this.peer} expired`));
    });
  }

  #explainEarlyEnd(error: Http2Error | undefined): Error {
    const hint = this.#options.credentials.kind === "insecure" ? " (it may expect TLS, or not speak HTTP/2)" : "";
    const why = error === undefined ? "" : `: ${error.message}`;
    return new Error(`${this.peer} ended the connection before HTTP/2 began${why}${hint}`, { cause: error });
  }

  #failAttempt(reason: unknown): void {
    const current = this.#current;
    this.#current = undefined;
    this.#stopAttempt(reason);
    current?.connection.destroy(reason instanceof Error ? reason : undefined);
    this.#lastError = new RpcError("UNAVAILABLE", connectFailureText(this.address, reason), { cause: reason });
    const { clock } = this.#environment;
    const waitMs = this.#attemptStartedAt + this.#backoff.next() - clock.now();
    this.#cancelTimer = clock.schedule(Math.max(0, waitMs), () => {
      this.#cancelTimer = undefined;
      this.#setState("IDLE");
    });
    this.#setState("TRANSIENT_FAILURE");
  }

  /** The attempt is over, whichever way; a reason calls off what still runs of it. */
  #stopAttempt(reason: unknown): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    if (reason !== undefined) this.#attempt?.abort(reason);
    this.#attempt = undefined;
  }

  /** The connection takes no more calls. */
  #lose(error: RpcError): void {
    // Also while CONNECTING: a GOAWAY may come before the SETTINGS do.
    if (this.#state === "CONNECTING") {
      this.#failAttempt(error);
      return;
    }
    this.#current = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#lastError = error;
    this.#setState("IDLE");
    this.#returnWaiting();
  }

  #enqueue(call: ClientCall): void {
    if (this.#waiting.length - this.#nextWaiting >= maxWaitingCalls) {
      if (this.#refused % fewestForgotten === 0) {
        this.#waiting = this.#waiting.slice(this.#nextWaiting).filter((other) => !other.isEnded);
        this.#nextWaiting = 0;
      }
      if (this.#waiting.length - this.#nextWaiting >= maxWaitingCalls) {
        this.#refused++;
        call.cancel("RESOURCE_EXHAUSTED", `${maxWaitingCalls} calls wait for a free stream on ${this.peer} already`);
        return;
      }
      this.#refused = 0;
    }
    call.hasWaited = true;
    this.#waiting.push(call);
  }

  #returnWaiting(): void {
    const waiting = this.#waiting;
    const next = this.#nextWaiting;
    this.#clearWaiting();
    for (let index = next; index < waiting.length; index++) {
      const call = waiting[index]!;
      if (!call.isEnded) call.returnToOwner();
    }
  }

  #clearWaiting(): void {
    this.#waiting = [];
    this.#nextWaiting = 0;
  }

  #setState(state: ConnectivityState): void {
    if (this.#state === state) return;
    this.#state = state;
    // Watchers may come and go meanwhile, and a watcher may change the state again: all hear of the newest one.
    for (const watcher of [...this.#watchers]) if (this.#watchers.has(watcher)) watcher.onSubchannelState(this);
  }
}
