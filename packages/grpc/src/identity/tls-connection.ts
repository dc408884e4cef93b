import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { SpiffeId } from "./spiffe.ts";
import { TlsError } from "./tls-error.ts";

/** Who is on the other side, as its certificate proves. */
export interface TlsPeer {
  readonly certificate: X509Certificate;
  /** Undefined where the certificate has no single SPIFFE id and none was demanded. */
  readonly spiffeId: SpiffeId | undefined;
  /** The connection is to be drained no later than this. */
  readonly notAfter: Date;
}

/** A secured connection that speaks HTTP/2. */
export interface TlsConnection {
  readonly socket: TLSSocket;
  /** Undefined for a client that showed no certificate and was let in without. */
  readonly peer: TlsPeer | undefined;
}

/** What a handshake may take, and what stops it. */
export interface HandshakeLimits {
  /** Default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export const defaultHandshakeTimeoutMs = 10_000;

/**
 * Waits for `begin`'s handshake to end one way or the other, for a deadline, or for an abort, whichever is first.
 *
 * `begin` gets the two ways out, and returns how to stop what it started; that runs on every end but acceptance.
 */
export function handshake(
  limits: HandshakeLimits,
  begin: (accept: (connection: TlsConnection) => void, refuse: (error: TlsError) => void) => () => void,
): Promise<TlsConnection> {
  const timeoutMs = limits.timeoutMs ?? defaultHandshakeTimeoutMs;
  return new Promise((resolve, reject) => {
    let settled = false;
    let stop: (() => void) | undefined;
    const timer = setTimeout(
      () => refuse(new TlsError("timeout", `the TLS handshake took longer than ${timeoutMs} ms`)),
      timeoutMs,
    );
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      clearTimeout(timer);
      limits.signal?.removeEventListener("abort", aborted);
      return true;
    };
    const accept = (connection: TlsConnection) => {
      if (settle()) resolve(connection);
    };
    const refuse = (error: TlsError) => {
      if (!settle()) return;
      stop?.();
      reject(error);
    };
    const aborted = () =>
      refuse(new TlsError("closed", "the TLS handshake was called off", { cause: limits.signal?.reason }));
    stop = begin(accept, refuse);
    limits.signal?.addEventListener("abort", aborted, { once: true });
    if (limits.signal?.aborted === true) aborted();
  });
}

/**
 * Destroys the socket under a TLS socket, in a turn of its own: destroying the raw socket and then, in the same turn, the
 * TLS socket crashes Node (a segmentation fault in 26.10), and the TLS socket may be Node's to destroy right now.
 */
export function discard(socket: Socket): void {
  setImmediate(() => socket.destroy());
}
