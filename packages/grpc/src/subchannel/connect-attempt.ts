import type { Clock } from "../clock.ts";
import type { Address } from "./address.ts";
import type { ClientConnection } from "./client-connection.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { type OpenSocket, openSocket } from "./socket.ts";

/** How an attempt ends, unless it is called off. */
export interface AttemptOwner {
  /** There is a socket: begins HTTP/2 on it. The attempt goes on until `finish`. */
  onSocket(opened: OpenSocket): ClientConnection;
  onAttemptFailed(attempt: ConnectAttempt, reason: unknown): void;
}

const defaultTimeoutMs = 20_000;

/** One attempt at a connection, from the first packet to the peer's SETTINGS, within a time-out. */
export class ConnectAttempt {
  readonly startedAt: number;
  readonly #stop = new AbortController();
  readonly #cancelTimer: () => void;
  #connection: ClientConnection | undefined;

  constructor(address: Address, options: ConnectOptions, clock: Clock, owner: AttemptOwner) {
    const timeoutMs = options.connectTimeoutMs ?? defaultTimeoutMs;
    this.startedAt = clock.now();
    this.#cancelTimer = clock.schedule(timeoutMs, () => {
      owner.onAttemptFailed(this, new Error(`no answer within ${timeoutMs} ms`));
    });
    const { signal } = this.#stop;
    openSocket(address, options, timeoutMs, signal).then(
      (opened) => {
        if (signal.aborted) opened.socket.destroy();
        else this.#connection = owner.onSocket(opened);
      },
      (error: unknown) => {
        if (!signal.aborted) owner.onAttemptFailed(this, error);
      },
    );
  }

  /** The connection that isn't ready yet; undefined before there is a socket. */
  get connection(): ClientConnection | undefined {
    return this.#connection;
  }

  /** The connection is ready, or over: nothing is left to wait for. */
  finish(): void {
    this.#cancelTimer();
  }

  /** Calls it off; its owner hears nothing more. */
  abort(reason: unknown): void {
    this.#cancelTimer();
    this.#stop.abort(reason);
    this.#connection?.connection.destroy(reason instanceof Error ? reason : undefined);
  }
}
