import { connect, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { SocketReader } from "../http2/socket-reader.ts";
import { certificateSpiffeId } from "../identity/peer-verification.ts";
import { connectTls } from "../identity/tls-client.ts";
import { discard, type TlsPeer } from "../identity/tls-connection.ts";
import { type Address, addressText, hostPortText, proxyOf } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { openTunnel } from "./tunnel.ts";

/** A socket that HTTP/2 can begin on. */
export interface OpenSocket {
  readonly socket: Socket;
  /** Who the peer proved to be; undefined in plaintext. */
  readonly tlsPeer: TlsPeer | undefined;
  /** What a plain socket reads with. */
  readonly reader?: SocketReader | undefined;
}

/**
 * A socket to `address`, secured as `options` say, ready for HTTP/2. Rejects with what went wrong; nothing is left open.
 *
 * It doesn't keep the process alive: who waits for it does.
 */
export async function openSocket(
  address: Address,
  options: ConnectOptions,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<OpenSocket> {
  const { credentials } = options;
  const proxy = proxyOf(address);
  // TLS takes the socket's bytes from below, and a proxy's answer comes before the peer's.
  const reader = credentials.kind === "insecure" && proxy === undefined ? new SocketReader() : undefined;
  const socket = await openPlainSocket(address, reader, signal);
  if (proxy !== undefined) await openTunnel(socket, proxy, addressText(address), signal);
  if (credentials.kind === "insecure") return { socket, tlsPeer: undefined, reader };
  const host = options.serverName ?? (address.kind === "tcp" ? address.host : "localhost");
  if (credentials.kind === "tls") {
    const secured = await connectTls(socket, credentials.tls, host, { timeoutMs, signal });
    return { socket: secured.socket, tlsPeer: secured.peer };
  }
  // Whoever defines the handshake knows of no deadline: giving up takes its socket away.
  const aborted = () => discard(socket);
  signal.addEventListener("abort", aborted, { once: true });
  try {
    const secured = await credentials.connect(socket, host);
    return { socket: secured, tlsPeer: peerOf(secured) };
  } catch (error) {
    discard(socket);
    throw error;
  } finally {
    signal.removeEventListener("abort", aborted);
  }
}

/** Who the peer of a handshake of someone else's proved to be; undefined where that asked for no proof. */
function peerOf(socket: TLSSocket): TlsPeer | undefined {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined || !socket.authorized) return undefined;
  const id = certificateSpiffeId(certificate);
  return { certificate, spiffeId: "problem" in id ? undefined : id, notAfter: certificate.validToDate };
}

/** Why there is no connection, as it stands in a call's error: always with the address, and the proxy on the way to it. */
export function connectFailureText(address: Address, error: unknown): string {
  const peer = addressText(address);
  const proxy = proxyOf(address);
  const through = proxy === undefined ? "" : `proxy ${hostPortText(proxy)}`;
  const text = errorText(error);
  if (text.includes(peer) && text.includes(through)) return text;
  return `connection to ${peer}${through === "" ? "" : ` through ${through}`} failed: ${text}`;
}

function errorText(error: unknown): string {
  // A name with several addresses fails with one error for all of them, whose own message is empty.
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorText).join("; ");
  return error instanceof Error ? error.message : String(error);
}

function openPlainSocket(address: Address, reader: SocketReader | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const reading = reader === undefined ? {} : { onread: reader.onread };
    const socket = connect({ ...firstHop(address), ...reading });
    socket.unref();
    const failed = (error: Error) => settle(() => reject(error));
    const aborted = () => {
      failed(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
      // It may fail once more on its way out, with nobody left to hear.
      socket.on("error", () => undefined).destroy();
    };
    const connected = () => settle(() => resolve(socket));
    const settle = (then: () => void) => {
      socket.off("error", failed).off("connect", connected);
      signal.removeEventListener("abort", aborted);
      then();
    };
    socket.once("error", failed).once("connect", connected);
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) aborted();
  });
}

/** What a socket connects to on the way to `address`. */
function firstHop(address: Address) {
  if (address.kind === "unix") return { path: address.path };
  const { host, port } = address.proxy ?? address;
  return { host, port, noDelay: true };
}
