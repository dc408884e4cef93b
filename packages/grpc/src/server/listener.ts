import type { X509Certificate } from "node:crypto";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import type { TlsPeer } from "../identity/tls-connection.ts";
import { TlsError } from "../identity/tls-error.ts";
import { acceptTls } from "../identity/tls-server.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import type { CallPeer } from "../rpc/server-call.ts";
import { hostPortText } from "../subchannel/address.ts";
import { bind } from "./bind.ts";
import { type AcceptedUnder, modeAllows } from "./conformity.ts";
import type { ListenAddress } from "./listen-address.ts";
import type { ListeningMode, ListeningPolicy, ListeningPolicyFactory } from "./listening-policy.ts";
import { type ConnectionSettings, ServerConnection } from "./server-connection.ts";
import { watchTrust } from "./trust-watch.ts";

/** How one address is listened on. */
export interface ListenerSettings extends ConnectionSettings {
  readonly listening: ListeningPolicyFactory;
  readonly portName: string;
  readonly interfaces: readonly string[];
  readonly maxConnections: number;
  readonly handshakeTimeoutMs: number;
  readonly drainGraceMs: number;
  /** Told of each client that was turned away in its TLS handshake. */
  readonly onHandshakeError: HandshakeErrorListener | undefined;
}

/** Told of a TLS handshake that failed: why, and the client's `host:port`. */
export type HandshakeErrorListener = (error: TlsError, peer: string) => void;

interface Accepted extends AcceptedUnder {
  /** Calls off the drain at the client certificate's end. */
  readonly forgetExpiry: () => void;
}

/** How long `open` waits for clients to hear of the address, and how long closing waits for them to let go of it. */
const publishMs = 5_000;
const leaveMs = 10_000;

const refusal: ListeningMode = { kind: "refuse", reason: "the server is starting" };

/**
 * One bound address: accepts sockets, asks the policy how to treat each, and drains those that a change of it made wrong.
 *
 *   net.Server ── socket ──▶ policy.mode ── plaintext ─────────────▶ ServerConnection
 *                                        ── tls ── acceptTls ──────▶ ServerConnection
 *                                        ── refuse ── destroy
 */
export class Listener {
  /** The host as asked for, the port as bound; 0 for a unix socket. */
  readonly port: number;
  /** `host:port` or `unix:path`. */
  readonly address: string;
  private readonly servers: readonly NetServer[];
  private readonly settings: ListenerSettings;
  private readonly connections = new Map<ServerConnection, Accepted>();
  private readonly pastCounts = new CallCounts();
  /** Sockets within their TLS handshake. */
  private readonly handshakes = new Set<AbortController>();
  private policy: ListeningPolicy | undefined = undefined;
  private listening = true;
  private stopTrustWatch: () => void = nothing;
  /** Resolved when, after `unbind`, the last connection is gone. */
  private readonly whenIdle = Promise.withResolvers<void>();

  private constructor(servers: readonly NetServer[], address: ListenAddress, settings: ListenerSettings) {
    this.servers = servers;
    this.settings = settings;
    this.port = address.kind === "tcp" ? (servers[0]!.address() as AddressInfo).port : 0;
    this.address =
      address.kind === "tcp" ? hostPortText({ host: address.host, port: this.port }) : `unix:${address.path}`;
  }

  /**
   * Binds `address`, waits for its policy, and until clients can know of it. Rejects with an RpcError when the first or
   * the second fails, or with the signal's reason once that aborts, and nothing stays bound.
   */
  static async open(address: ListenAddress, settings: ListenerSettings, signal: AbortSignal): Promise<Listener> {
    let listener: Listener | undefined;
    const servers = await bind(address, (socket) => {
      if (listener === undefined) socket.destroy();
      else listener.accept(socket);
    });
    listener = new Listener(servers, address, settings);
    let policy: Promise<ListeningPolicy> | undefined;
    try {
      const host = address.kind === "tcp" ? address.host : address.path;
      const { portName, interfaces, listening } = settings;
      policy = listening({ host, port: listener.port, portName, interfaces }, signal);
      listener.follow(await unlessAborted(policy, signal));
      const published = listener.policy?.published?.(publishMs);
      if (published !== undefined) await unlessAborted(published, signal);
    } catch (error) {
      // A policy that comes after all is no longer wanted.
      if (listener.policy === undefined) policy?.then((late) => late.close(), nothing);
      await listener.close(0);
      throw error;
    }
    return listener;
  }

  /** Open connections, without those within their handshake. */
  get openConnections(): number {
    return this.connections.size;
  }

  /** Whether it still accepts. */
  get isListening(): boolean {
    return this.listening;
  }

  /** Those. */
  get openOnes(): Iterable<ServerConnection> {
    return this.connections.keys();
  }

  /** The calls over all connections that were ever accepted here; a fresh object. */
  countCalls(): CallCounts {
    const counts = new CallCounts();
    counts.add(this.pastCounts);
    for (const connection of this.connections.keys()) counts.add(connection.counts);
    return counts;
  }

  /** Takes in an accepted socket. */
  private accept(socket: Socket): void {
    // Until someone owns the socket its errors mean only that it is gone.
    socket.on("error", ignoreSocketError);
    if (this.connections.size + this.handshakes.size >= this.settings.maxConnections) {
      socket.destroy();
      return;
    }
    const mode = this.mode;
    if (mode.kind === "refuse") socket.destroy();
    else if (mode.kind === "plaintext") this.serve(socket, peerOf(socket, false, undefined), mode);
    else void this.secure(socket, mode);
  }

  /** Stops accepting; what is open stays. */
  unbind(): void {
    if (!this.listening) return;
    this.listening = false;
    for (const server of this.servers) server.close();
    this.policy?.close();
    this.stopTrustWatch();
    for (const handshake of this.handshakes) handshake.abort();
  }

  /** Says goodbye on every open connection; those accepted later are as any. */
  drain(graceMs: number): void {
    for (const connection of [...this.connections.keys()]) connection.drain(graceMs);
  }

  /**
   * Takes the address out of what clients know, stops accepting, drains, and resolves when the last connection is gone.
   * Without grace all of it at once.
   */
  async close(graceMs: number): Promise<void> {
    if (graceMs > 0 && this.listening) await this.policy?.leave?.(leaveMs);
    this.unbind();
    this.drain(graceMs);
    if (this.connections.size > 0) await this.whenIdle.promise;
  }

  private get mode(): ListeningMode {
    return this.listening && this.policy !== undefined ? this.policy.mode : refusal;
  }

  private follow(policy: ListeningPolicy): void {
    this.policy = policy;
    policy.watch(() => this.onPolicyChange());
    this.followTrust();
  }

  private followTrust(): void {
    this.stopTrustWatch();
    const { mode } = this;
    this.stopTrustWatch = mode.kind === "tls" ? watchTrust(mode.credentials, () => this.onRootGone()) : nothing;
  }

  private onRootGone(): void {
    for (const [connection, { certificate }] of [...this.connections]) {
      if (certificate !== undefined) connection.drain(this.settings.drainGraceMs);
    }
  }

  private onPolicyChange(): void {
    if (!this.listening) return;
    this.followTrust();
    const { mode } = this;
    for (const [connection, accepted] of [...this.connections]) {
      if (!modeAllows(mode, accepted)) connection.drain(this.settings.drainGraceMs);
    }
  }

  private async secure(socket: Socket, mode: ListeningMode & { kind: "tls" }): Promise<void> {
    const handshake = new AbortController();
    this.handshakes.add(handshake);
    const address = socketAddress(socket.remoteAddress, socket.remotePort);
    try {
      const limits = { timeoutMs: this.settings.handshakeTimeoutMs, signal: handshake.signal };
      const { socket: secured, peer } = await acceptTls(socket, mode.credentials, address, limits);
      secured.on("error", ignoreSocketError);
      const { mode: current } = this;
      // The policy may have changed during the handshake.
      if (!modeAllows(current, { mode, certificate: peer?.certificate })) secured.destroy();
      else this.serve(secured, peerOf(secured, true, peer), mode);
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      // A client that can't be trusted is its own problem: it got its alert, and acceptTls closed the socket.
      if (!handshake.signal.aborted) this.settings.onHandshakeError?.(error, address);
    } finally {
      this.handshakes.delete(handshake);
    }
  }

  private serve(socket: Socket, peer: CallPeer, mode: ListeningMode): void {
    const connection = new ServerConnection(socket, peer, this.settings, (gone) => this.remove(gone));
    const forgetExpiry = this.drainAtExpiry(connection, peer.certificate);
    this.connections.set(connection, { mode, certificate: peer.certificate, forgetExpiry });
  }

  /** No connection outlives what its client proved itself with: the grace ends with the certificate. */
  private drainAtExpiry(connection: ServerConnection, certificate: X509Certificate | undefined): () => void {
    if (certificate === undefined) return nothing;
    const { clock, drainGraceMs } = this.settings;
    const delayMs = certificate.validToDate.getTime() - clock.now() - drainGraceMs;
    return clock.schedule(Math.max(0, delayMs), () => connection.drain(drainGraceMs));
  }

  private remove(connection: ServerConnection): void {
    this.connections.get(connection)?.forgetExpiry();
    if (this.connections.delete(connection)) this.pastCounts.add(connection.counts);
    if (this.connections.size === 0 && !this.listening) this.whenIdle.resolve();
  }
}

/** What `promise` resolves with, unless `signal` aborts first. */
function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

function nothing(): void {
  // Nothing is watched, or nobody cares.
}

function ignoreSocketError(): void {
  // The connection's own onClose tells of it.
}

function peerOf(socket: Socket, isSecure: boolean, proven: TlsPeer | undefined): CallPeer {
  return {
    address: socketAddress(socket.remoteAddress, socket.remotePort),
    localAddress: socketAddress(socket.localAddress, socket.localPort),
    isSecure,
    identity: proven?.spiffeId,
    certificate: proven?.certificate,
  };
}

function socketAddress(host: string | undefined, port: number | undefined): string {
  return host === undefined ? "unix:" : hostPortText({ host, port: port ?? 0 });
}
