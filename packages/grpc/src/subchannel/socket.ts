import { connect, type Socket } from "node:net";
import { connectTls } from "../identity/tls-client.ts";
import type { TlsPeer } from "../identity/tls-connection.ts";
import { type Address, addressText } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";

/** A socket that HTTP/2 can begin on. */
export interface OpenSocket {
  readonly socket: Socket;
  /** Who the peer proved to be; undefined in plaintext, and for a handshake that someone else defines. */
  readonly tlsPeer: TlsPeer | undefined;
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
  const socket = await openPlainSocket(address, signal);
  const { credentials } = options;
  if (credentials.kind === "insecure") return { socket, tlsPeer: undefined };
  const host = options.serverName ?? (address.kind === "tcp" ? address.host : "localhost");
  if (credentials.kind === "tls") {
    const secured = await connectTls(socket, credentials.tls, host, { timeoutMs, signal });
    return { socket: secured.socket, tlsPeer: secured.peer };
  }
  try {
    return { socket: await credentials.connect(socket, host), tlsPeer: undefined };
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

/** Why there is no connection, as it stands in a call's error: always with the address. */
export function connectFailureText(address: Address, error: unknown): string {
  const peer = addressText(address);
  const text = errorText(error);
  return text.includes(peer) ? text : `connection to ${peer} failed: ${text}`;
}

function errorText(error: unknown): string {
  // A name with several addresses fails with one error for all of them, whose own message is empty.
  if (error instanceof AggregateError && error.errors.length > 0) return error.errors.map(errorText).join("; ");
  return error instanceof Error ? error.message : String(error);
}

function openPlainSocket(address: Address, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      address.kind === "unix"
        ? connect({ path: address.path })
        : connect({ host: address.host, port: address.port, noDelay: true });
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
