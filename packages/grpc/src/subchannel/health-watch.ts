import type { Clock } from "../clock.ts";
import { CallHead } from "../rpc/call-head.ts";
import { type CallListener, type CallOwner, ClientCall } from "../rpc/client-call.ts";
import { Status, statusName } from "../rpc/status.ts";
import { Backoff } from "./backoff.ts";
import type { ClientConnection } from "./client-connection.ts";

const path = "/grpc.health.v1.Health/Watch";

/** What a server says of itself. */
export type HealthListener = (problem: string | undefined) => void;

/**
 * Follows what the server on one connection says of the health of `service` (gRFC A17). A server that doesn't know of
 * health checks counts as healthy; a stream that breaks counts as a problem until the next one says otherwise.
 */
export class HealthWatch implements CallListener, CallOwner {
  readonly #connection: ClientConnection;
  readonly #service: string;
  readonly #head: CallHead;
  readonly #clock: Clock;
  readonly #backoff: Backoff;
  readonly #changed: HealthListener;
  #decode: ((bytes: Uint8Array) => number) | undefined;
  #request: Uint8Array | undefined;
  #call: ClientCall | undefined;
  #cancelRetry: (() => void) | undefined;
  #hasAnswered = false;
  #isStopped = false;

  constructor(
    connection: ClientConnection,
    service: string,
    authority: string,
    environment: { readonly clock: Clock; readonly random: () => number },
    changed: HealthListener,
  ) {
    this.#connection = connection;
    this.#service = service;
    this.#head = new CallHead(path, authority, "weft-grpc-node");
    this.#clock = environment.clock;
    this.#backoff = new Backoff(1000, 120_000, environment.random);
    this.#changed = changed;
    this.#load().then(
      () => this.#begin(),
      (error: unknown) => this.#changed(`the health check can't be made: ${String(error)}`),
    );
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelRetry?.();
    this.#call?.cancel("CANCELLED", "the health check is over");
  }

  // As the call's listener.

  onHeaders(): void {
    // Health comes in messages.
  }

  onMessage(bytes: Buffer): void {
    if (this.#isStopped) return;
    this.#hasAnswered = true;
    this.#backoff.reset();
    let status: number;
    try {
      status = this.#decode!(bytes);
    } catch {
      // What can't be read says nothing good.
      status = 0;
    }
    // 1 is SERVING.
    this.#changed(status === 1 ? undefined : `${this.#connection.peer} is not serving${this.#named()}`);
  }

  onWritable(): void {
    // There is one request, sent with the call's beginning.
  }

  onStatus(status: number, details: string): void {
    this.#call = undefined;
    if (this.#isStopped || this.#connection.connection.isClosed) return;
    if (status === Status.UNIMPLEMENTED) {
      this.#changed(undefined);
      return;
    }
    this.#changed(`the health check of ${this.#connection.peer} failed: ${statusName(status)} ${details}`);
    // After a stream that worked at once.
    if (this.#hasAnswered) this.#begin();
    else this.#retry();
  }

  // As the call's owner.

  restart(call: ClientCall): void {
    call.cancel("UNAVAILABLE", "the connection takes no more calls");
  }

  proceedLater(call: ClientCall): void {
    this.restart(call);
  }

  describeWait(): string {
    return this.#connection.peer;
  }

  onCallEnded(): void {
    // Told as the listener.
  }

  #named(): string {
    return this.#service === "" ? "" : ` "${this.#service}"`;
  }

  /** The messages are loaded with the first check: most processes make none. */
  async #load(): Promise<void> {
    const { HealthCheckRequest, HealthCheckResponse } = await import("@weft/xds-api/grpc/health/v1/health");
    this.#decode = (bytes) => HealthCheckResponse.decode(bytes).status;
    this.#request = HealthCheckRequest.encode({ service: this.#service }).finish();
  }

  #begin(): void {
    if (this.#isStopped || this.#connection.connection.isClosed) return;
    this.#hasAnswered = false;
    if (!this.#connection.connection.canOpenStream) {
      this.#retry();
      return;
    }
    this.#call = new ClientCall(this.#head, { isBackground: true }, this, this, this.#request);
    this.#call.start(this.#connection);
  }

  #retry(): void {
    this.#cancelRetry = this.#clock.schedule(this.#backoff.next(), () => this.#begin());
  }
}
