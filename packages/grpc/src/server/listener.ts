import type { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from "node:net";
import { isMainThread } from "node:worker_threads";
import type { Clock } from "../clock.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import { TlsError } from "../identity/tls-error.ts";
import { acceptTls } from "../identity/tls-server.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import { RpcError } from "../rpc/error.ts";
import type { CallPeer } from "../rpc/server-call.ts";
import { type AcceptedUnder, modeAllows } from "./conformity.ts";
import { hostPort, type ListenAddress, removeStaleSocket } from "./listen-address.ts";
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
  readonly clock: Clock;
}

interface Accepted extends AcceptedUnder {
  /** Calls off the drain at the client certificate's end. */
  readonly forgetExpiry: () => void;
}

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
  private readonly server: NetServer;
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

  private constructor(server: NetServer, address: ListenAddress, settings: ListenerSettings) {
    this.server = server;
    this.settings = settings;
    this.port = address.kind === "tcp" ? (server.address() as AddressInfo).port : 0;
    this.address = address.kind === "tcp" ? hostPort(address.host, this.port) : `unix:${address.path}`;
    server.on("connection", (socket) => this.accept(socket));
  }

  /** Binds `address`, then waits for its policy. Rejects with an RpcError when either fails, and nothing stays bound. */
  static async open(address: ListenAddress, settings: ListenerSettings): Promise<Listener> {
    const server = createServer({ noDelay: true });
    server.maxConnections = settings.maxConnections;
    await bind(server, address);
    const listener = new Listener(server, address, settings);
    try {
      const host = address.kind === "tcp" ? address.host : address.path;
      const { portName, interfaces } = settings;
      listener.follow(await settings.listening({ host, port: listener.port, portName, interfaces }));
    } catch (error) {
      await listener.close(0);
      throw error;
    }
    return listener;
  }

  /** Open connections, without those within their handshake. */
  get openConnections(): number {
    return this.connections.size;
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

  /** Takes in a socket that was accepted elsewhere. */
  accept(socket: Socket): void {
    // Until someone owns the socket its errors mean only that it is gone.
    socket.on("error", ignoreSocketError);
    const mode = this.mode;
    if (mode.kind === "refuse") socket.destroy();
    else if (mode.kind === "plaintext") this.serve(socket, peerOf(socket, false, undefined), mode);
    else void this.secure(socket, mode);
  }

  /** Stops accepting; what is open stays. */
  unbind(): void {
    if (!this.listening) return;
    this.listening = false;
    this.server.close();
    this.policy?.close();
    this.stopTrustWatch();
    for (const handshake of this.handshakes) handshake.abort();
  }

  /** Says goodbye on every open connection; those accepted later are as any. */
  drain(graceMs: number): void {
    for (const connection of [...this.connections.keys()]) connection.drain(graceMs);
  }

  /** Stops accepting, drains, and resolves when the last connection is gone. */
  async close(graceMs: number): Promise<void> {
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
    try {
      const limits = { timeoutMs: this.settings.handshakeTimeoutMs, signal: handshake.signal };
      const address = socketAddress(socket.remoteAddress, socket.remotePort);
      const { socket: secured, peer } = await acceptTls(socket, mode.credentials, address, limits);
      secured.on("error", ignoreSocketError);
      const { mode: current } = this;
      // The policy may have changed during the handshake.
      if (!modeAllows(current, { mode, certificate: peer?.certificate })) secured.destroy();
      else this.serve(secured, peerOf(secured, true, peer), mode);
    } catch (error) {
      if (!(error instanceof TlsError)) throw error;
      // A client that can't be trusted is its own problem: it got its alert, and acceptTls closed the socket.
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

function nothing(): void {
  // Nothing is watched.
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
  return host === undefined ? "unix:" : hostPort(host, port ?? 0);
}

async function bind(server: NetServer, address: ListenAddress): Promise<void> {
  try {
    if (address.kind === "unix") await bindUnix(server, address.path);
    else server.listen(address.port, address.host);
    if (!server.listening) await once(server, "listening");
  } catch (cause) {
    const where = address.kind === "tcp" ? hostPort(address.host, address.port) : `unix:${address.path}`;
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RpcError("UNAVAILABLE", `cannot listen on ${where}: ${why}`, { cause });
  }
}

async function bindUnix(server: NetServer, path: string): Promise<void> {
  await removeStaleSocket(path);
  // The file must never be open to others, not even between bind and chmod; workers have no umask of their own.
  const umask = isMainThread ? process.umask(0o177) : undefined;
  try {
    server.listen(path);
  } finally {
    if (umask !== undefined) process.umask(umask);
  }
  await once(server, "listening");
  await chmod(path, 0o600);
}
