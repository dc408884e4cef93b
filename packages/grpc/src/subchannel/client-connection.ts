import type { Socket } from "node:net";
import type { Clock } from "../clock.ts";
import { type ConnectionHandler, Http2Connection } from "../http2/connection.ts";
import type { Http2Error } from "../http2/error.ts";
import type { Http2Options } from "../http2/options.ts";
import type { StreamHandler } from "../http2/stream.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import { ConnectionCounts } from "../rpc/call-counts.ts";
import type { CallTransport, ClientCall } from "../rpc/client-call.ts";
import type { KeepaliveOptions } from "./connect-options.ts";
import { Keepalive } from "./keepalive.ts";
import type { OpenSocket } from "./socket.ts";

/** What a connection tells its subchannel. */
export interface ConnectionOwner {
  /** The peer's SETTINGS came: calls may start. */
  onReady(connection: ClientConnection): void;
  /** Room for more calls. */
  onCapacity(connection: ClientConnection): void;
  /** No new calls here; open ones go on. */
  onGoaway(connection: ClientConnection, code: number, debug: string): void;
  onClose(connection: ClientConnection, error: Http2Error | undefined): void;
}

/** One HTTP/2 connection as a client uses it: what calls run on. Keeps the process alive exactly while calls are open that aren't in the background. */
export class ClientConnection implements ConnectionHandler, CallTransport {
  readonly connection: Http2Connection;
  readonly peer: string;
  readonly isSecure: boolean;
  readonly tlsPeer: TlsPeer | undefined;
  readonly counts = new ConnectionCounts();
  readonly #socket: Socket;
  readonly #owner: ConnectionOwner;
  readonly #keepalive: Keepalive | undefined;
  #openCalls = 0;
  #backgroundCalls = 0;
  #isReady = false;
  readonly #clock: Clock;
  #cancelExpiry: (() => void) | undefined;

  constructor(
    { socket, tlsPeer, reader }: OpenSocket,
    peer: string,
    isSecure: boolean,
    owner: ConnectionOwner,
    keepalive: KeepaliveOptions | undefined,
    clock: Clock,
    http2: Pick<Http2Options, "limits" | "busyPoll">,
  ) {
    this.#socket = socket;
    this.#clock = clock;
    this.#owner = owner;
    this.peer = peer;
    this.isSecure = isSecure;
    this.tlsPeer = tlsPeer;
    this.connection = new Http2Connection(socket, "client", this, { ...http2, reader });
    const activity = () => socket.bytesRead;
    this.#keepalive = keepalive === undefined ? undefined : new Keepalive(this.connection, activity, keepalive, clock);
    socket.unref();
  }

  /** How many calls run on it. */
  get openCalls(): number {
    return this.#openCalls;
  }

  /** Calls `expired` when the peer's certificate does, unless the connection is over by then. */
  atExpiry(expired: () => void): void {
    const notAfter = this.tlsPeer?.notAfter;
    if (notAfter === undefined) return;
    this.#cancelExpiry = this.#clock.schedule(notAfter.getTime() - this.#clock.now(), expired);
  }

  onCallStarted(call: ClientCall): void {
    if (this.#openCalls++ === 0) this.#keepalive?.onBusy(true);
    if (call.isBackground) this.#backgroundCalls++;
    else if (this.#openCalls - this.#backgroundCalls === 1) this.#socket.ref();
  }

  onCallEnded(call: ClientCall): void {
    if (--this.#openCalls === 0) this.#keepalive?.onBusy(false);
    if (call.isBackground) this.#backgroundCalls--;
    else if (this.#openCalls === this.#backgroundCalls) this.#socket.unref();
  }

  onStream(): StreamHandler {
    throw new Error("a client's connection takes no streams from its peer");
  }

  onCapacity(): void {
    if (!this.#isReady && this.connection.isReady) {
      this.#isReady = true;
      this.#keepalive?.start();
      this.#owner.onReady(this);
    }
    this.#owner.onCapacity(this);
  }

  onGoaway(code: number, debug: string): void {
    this.#owner.onGoaway(this, code, debug);
  }

  onClose(error: Http2Error | undefined): void {
    this.#keepalive?.stop();
    this.#cancelExpiry?.();
    this.#owner.onClose(this, error);
  }
}
