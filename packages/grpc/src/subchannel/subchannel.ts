// A little over 300 lines: one state machine over all connections to an address.
import type { Clock } from "../clock.ts";
import { ErrorCode, type Http2Error } from "../http2/error.ts";
import { windowLimits } from "../http2/options.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import type { ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { type Address, addressText } from "./address.ts";
import { Backoff } from "./backoff.ts";
import { ClientConnection, type ConnectionOwner } from "./client-connection.ts";
import { type AttemptOwner, ConnectAttempt } from "./connect-attempt.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { ConnectivityState } from "./connectivity-state.ts";
import { HealthWatch } from "./health-watch.ts";
import { connectFailureText, type OpenSocket } from "./socket.ts";
import { WaitingCalls } from "./waiting-calls.ts";

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

const defaultMaxConnections = 10;
const defaultMaxQueuedCalls = 10_000;

/**
 * One address, and the connections to it: one, and more of them while the peer's MAX_CONCURRENT_STREAMS fills those there
 * are (gRFC A105).
 *
 *   IDLE -connect()→ CONNECTING -peer's SETTINGS→ READY -GOAWAY, loss of the last→ IDLE
 *                        └-failure→ TRANSIENT_FAILURE -back-off→ IDLE
 *
 * Shared by the balancers of several channels through the pool. Connects only when told to, or when calls wait. Calls for
 * which there is no stream wait here, in order.
 */
export class Subchannel implements ConnectionOwner, AttemptOwner {
  readonly address: Address;
  /** The address as it stands in messages. */
  readonly peer: string;
  readonly #options: ConnectOptions;
  readonly #environment: SubchannelEnvironment;
  readonly #backoff: Backoff;
  readonly #maxConnections: number;
  readonly #watchers = new Set<SubchannelWatcher>();
  #state: ConnectivityState = "IDLE";
  #lastError: RpcError | undefined;
  /** Connections that take new calls, oldest first: a call goes to the first with room, so that the others run empty. */
  #ready: ClientConnection[] = [];
  /** Those, one that isn't ready yet, and those whose last calls still run. */
  readonly #connections = new Set<ClientConnection>();
  readonly #pastCounts = new CallCounts();
  #attempt: ConnectAttempt | undefined;
  #cancelBackoff: (() => void) | undefined;
  /** Twice as long as asked for after each complaint of the peer. */
  #keepaliveTimeMs: number | undefined;
  readonly #waiting: WaitingCalls;
  #health: HealthWatch | undefined;
  #onAllClosed: (() => void) | undefined;

  constructor(address: Address, options: ConnectOptions, environment: SubchannelEnvironment) {
    this.address = address;
    this.peer = addressText(address);
    this.#options = options;
    this.#environment = environment;
    this.#maxConnections = options.maxConnections ?? defaultMaxConnections;
    this.#waiting = new WaitingCalls(options.maxQueuedCalls ?? defaultMaxQueuedCalls);
    this.#keepaliveTimeMs = options.keepalive?.timeMs;
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
    return this.#state === "READY" && this.#withRoom() !== undefined;
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
    this.#beginAttempt();
    this.#setState("CONNECTING");
  }

  /** Opens another connection, if READY and there may be one more. */
  addConnection(): void {
    if (this.#state !== "READY" || this.#attempt !== undefined || this.#cancelBackoff !== undefined) return;
    if (this.#ready.length < this.#maxConnections) this.#beginAttempt();
  }

  /** Runs `call`, now or when there is a stream for it. False when there is no connection to run it on. */
  startCall(call: ClientCall): boolean {
    if (this.#state !== "READY") return false;
    const connection = this.#waiting.isEmpty ? this.#withRoom() : undefined;
    if (connection !== undefined) call.start(connection);
    else if (this.#waiting.add(call, this.peer)) this.addConnection();
    return true;
  }

  /** What a call that was given to this subchannel waits for. */
  describeWait(): string {
    return this.#state === "READY" ? `a free stream on ${this.peer}` : `a connection to ${this.peer}`;
  }

  /**
   * For the pool: takes no more calls; open ones go on, and the connections end with the last of them. Resolves when all
   * have.
   */
  close(): Promise<void> {
    if (this.#state !== "SHUTDOWN") this.#shutDown();
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const others = this.#onAllClosed;
      this.#onAllClosed = () => {
        others?.();
        resolve();
      };
    });
  }

  // As the owner of an attempt.

  onSocket(opened: OpenSocket): ClientConnection {
    const { credentials, keepalive, windowBytes, busyPoll } = this.#options;
    const pings = keepalive && { ...keepalive, timeMs: this.#keepaliveTimeMs ?? keepalive.timeMs };
    const isSecure = credentials.kind !== "insecure";
    const http2 = {
      ...(windowBytes === undefined ? {} : { limits: windowLimits(windowBytes) }),
      ...(busyPoll === false ? { busyPoll: false as const } : {}),
    };
    const { clock } = this.#environment;
    const connection = new ClientConnection(opened, this.peer, isSecure, this, pings, clock, http2);
    this.#connections.add(connection);
    return connection;
  }

  onAttemptFailed(attempt: ConnectAttempt, reason: unknown): void {
    if (attempt === this.#attempt) this.#failAttempt(reason);
  }

  // As the owner of connections.

  onReady(connection: ClientConnection): void {
    if (connection !== this.#attempt?.connection) return;
    this.#attempt.finish();
    this.#attempt = undefined;
    this.#backoff.reset();
    this.#drainAtExpiry(connection);
    this.#ready.push(connection);
    const { healthCheckService } = this.#options;
    if (healthCheckService === undefined) this.#onHealth(undefined);
    else if (this.#health === undefined) this.#watchHealth(connection, healthCheckService);
  }

  /** Calls wait until the server says that it serves (gRFC A17); one connection speaks for all to an address. */
  #watchHealth(connection: ClientConnection, service: string): void {
    const authority = this.#options.serverName ?? this.peer;
    this.#health = new HealthWatch(connection, service, authority, this.#environment, (problem) =>
      this.#onHealth(problem),
    );
  }

  #onHealth(problem: string | undefined): void {
    this.#lastError = problem === undefined ? undefined : new RpcError("UNAVAILABLE", problem);
    this.#setState(problem === undefined ? "READY" : "TRANSIENT_FAILURE");
    if (problem !== undefined) this.#returnWaiting();
  }

  #stopHealth(): void {
    this.#health?.stop();
    this.#health = undefined;
  }

  onCapacity(connection: ClientConnection): void {
    if (this.#waiting.isEmpty || !this.#ready.includes(connection)) return;
    while (connection.connection.canOpenStream) {
      const call = this.#waiting.take();
      if (call === undefined) return;
      call.start(connection);
    }
    this.addConnection();
  }

  onGoaway(connection: ClientConnection, code: number, debug: string): void {
    // gRFC A8: whoever pings too often pings half as often from then on.
    if (code === ErrorCode.ENHANCE_YOUR_CALM && debug === "too_many_pings" && this.#keepaliveTimeMs !== undefined) {
      this.#keepaliveTimeMs *= 2;
    }
    // Open calls end on it, then it closes.
    connection.connection.goaway();
    const why = debug === "" ? "" : `: ${JSON.stringify(debug.slice(0, 200))}`;
    this.#lose(connection, new RpcError("UNAVAILABLE", `${this.peer} asked to go elsewhere (GOAWAY)${why}`));
  }

  onClose(connection: ClientConnection, error: Http2Error | undefined): void {
    if (this.#connections.delete(connection)) this.#pastCounts.add(connection.counts);
    if (this.#connections.size === 0) this.#onAllClosed?.();
    if (connection === this.#attempt?.connection) {
      this.#failAttempt(this.#explainEarlyEnd(error));
      return;
    }
    const why =
      error === undefined ? "it was closed" : error.cause instanceof Error ? error.cause.message : error.message;
    this.#lose(
      connection,
      new RpcError("UNAVAILABLE", `the connection to ${this.peer} ended: ${why}`, { cause: error }),
    );
  }

  #withRoom(): ClientConnection | undefined {
    const ready = this.#ready;
    for (let index = 0; index < ready.length; index++) {
      if (ready[index]!.connection.canOpenStream) return ready[index];
    }
    return undefined;
  }

  #beginAttempt(): void {
    this.#attempt = new ConnectAttempt(this.address, this.#options, this.#environment.clock, this);
  }

  /** A connection outlives neither its peer's certificate nor this subchannel's use of it. */
  #drainAtExpiry(connection: ClientConnection): void {
    connection.atExpiry(() => {
      connection.connection.goaway();
      this.#lose(connection, new RpcError("UNAVAILABLE", `the certificate of ${this.peer} expired`));
    });
  }

  #explainEarlyEnd(error: Http2Error | undefined): Error {
    const hint = this.#options.credentials.kind === "insecure" ? " (it may expect TLS, or not speak HTTP/2)" : "";
    const why = error === undefined ? "" : `: ${error.message}`;
    return new Error(`${this.peer} ended the connection before HTTP/2 began${why}${hint}`, { cause: error });
  }

  #failAttempt(reason: unknown): void {
    const attempt = this.#attempt!;
    this.#attempt = undefined;
    attempt.abort(reason);
    const { clock } = this.#environment;
    const waitMs = attempt.startedAt + this.#backoff.next() - clock.now();
    this.#cancelBackoff = clock.schedule(Math.max(0, waitMs), () => this.#onBackoffOver());
    // One more connection isn't to be had now; those that are there go on.
    if (this.#state === "READY") return;
    this.#lastError = new RpcError("UNAVAILABLE", connectFailureText(this.address, reason), { cause: reason });
    this.#setState("TRANSIENT_FAILURE");
  }

  #onBackoffOver(): void {
    this.#cancelBackoff = undefined;
    if (this.#state === "TRANSIENT_FAILURE") this.#setState("IDLE");
    else if (!this.#waiting.isEmpty) this.addConnection();
  }

  /** `connection` takes no more calls. */
  #lose(connection: ClientConnection, error: RpcError): void {
    // A GOAWAY may come before the SETTINGS do.
    if (connection === this.#attempt?.connection) {
      this.#failAttempt(error);
      return;
    }
    if (!this.#ready.includes(connection)) return;
    this.#ready = this.#ready.filter((other) => other !== connection);
    // With a health check the connection that is watched stands for all.
    if (this.#health !== undefined) this.#drainReady();
    if (this.#ready.length > 0) {
      if (!this.#waiting.isEmpty) this.addConnection();
      return;
    }
    this.#stopConnecting(error);
    this.#stopHealth();
    this.#lastError = error;
    this.#setState("IDLE");
    this.#returnWaiting();
  }

  #stopConnecting(reason: unknown): void {
    this.#cancelBackoff?.();
    this.#cancelBackoff = undefined;
    const attempt = this.#attempt;
    this.#attempt = undefined;
    attempt?.abort(reason);
  }

  #shutDown(): void {
    this.#stopConnecting(new Error("the subchannel was closed"));
    this.#stopHealth();
    this.#setState("SHUTDOWN");
    this.#watchers.clear();
    this.#returnWaiting();
    this.#drainReady();
  }

  #drainReady(): void {
    const ready = this.#ready;
    this.#ready = [];
    for (const connection of ready) connection.connection.goaway();
  }

  #returnWaiting(): void {
    for (const call of this.#waiting.takeAll()) if (!call.isEnded) call.returnToOwner();
  }

  #setState(state: ConnectivityState): void {
    if (this.#state === state) return;
    this.#state = state;
    // Watchers may come and go meanwhile, and a watcher may change the state again: all hear of the newest one.
    for (const watcher of [...this.#watchers]) if (this.#watchers.has(watcher)) watcher.onSubchannelState(this);
  }
}
