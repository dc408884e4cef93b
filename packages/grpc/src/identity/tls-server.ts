import type { Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { lateBuiltins } from "../late-builtins.ts";
import type { TlsServerSettings } from "./credentials.ts";
import { verifyPeer } from "./peer-verification.ts";
import { acceptorOptions } from "./secure-context.ts";
import { discard, type HandshakeLimits, handshake, type TlsConnection } from "./tls-connection.ts";
import { explainTlsError, TlsError } from "./tls-error.ts";

/**
 * Node tells whether a client's chain verified only on sockets of a tls.Server, and doesn't tell which raw socket one
 * came from. So each handshake borrows a server that never listens, and gives it back when it succeeded.
 */
const idleAcceptors = new WeakMap<object, Server[]>();
const idleAtMost = 8;

/**
 * Secures `socket`, which was just accepted, as a server: TLS 1.3 (at least 1.2), ALPN h2, and the client verified as
 * `settings.clients` demands. `peer` names the other side in refusals (its address).
 *
 * Rejects with a TlsError and destroys the socket on anything less; a server logs that and goes on. Sessions are never
 * resumed, so nothing of one credential outlives its swap. After the promise resolves the caller owns the TLS socket
 * and its errors.
 *
 * From the call on, `socket` belongs to the handshake: to give up, abort `limits.signal`; later, destroy the TLS socket,
 * never the one under it (both in one turn crash Node).
 */
export async function acceptTls(
  socket: Socket,
  settings: TlsServerSettings,
  peer: string,
  limits: HandshakeLimits = {},
): Promise<TlsConnection> {
  try {
    const options = acceptorOptions(settings);
    const idle = idleAcceptors.get(options) ?? [];
    idleAcceptors.set(options, idle);
    const acceptor = idle.pop() ?? lateBuiltins.tls.createServer(options);
    const connection = await handshake(limits, (accept, refuse) => {
      acceptor.once("secureConnection", (secured: TLSSocket) => {
        const verdict = judge(secured, settings, peer);
        if (!(verdict instanceof TlsError)) return accept(verdict);
        secured.destroy();
        refuse(verdict);
      });
      acceptor.once("tlsClientError", (error: Error) => refuse(explainTlsError(error, peer)));
      acceptor.emit("connection", socket);
      return () => discard(socket);
    });
    acceptor.removeAllListeners("secureConnection").removeAllListeners("tlsClientError");
    if (idle.length < idleAtMost) idle.push(acceptor);
    return connection;
  } catch (error) {
    discard(socket);
    throw explainTlsError(error, peer);
  }
}

function judge(secured: TLSSocket, { clients }: TlsServerSettings, peer: string): TlsConnection | TlsError {
  if (secured.alpnProtocol !== "h2") return new TlsError("no-h2", `${peer} does not offer HTTP/2 (ALPN h2)`);
  if (clients.kind === "anonymous") return { socket: secured, peer: undefined };
  const certificate = secured.getPeerX509Certificate();
  if (certificate === undefined) {
    if (!clients.require) return { socket: secured, peer: undefined };
    return new TlsError("no-certificate", `${peer} showed no certificate`);
  }
  if (!secured.authorized) {
    return explainTlsError(Object.assign(new Error("not authorized"), { code: secured.authorizationError }), peer);
  }
  const verdict = verifyPeer(certificate, clients.verify, undefined);
  if (verdict.kind === "refused") return new TlsError("wrong-identity", `${peer} is not welcome: ${verdict.reason}`);
  return { socket: secured, peer: { certificate, spiffeId: verdict.spiffeId, notAfter: certificate.validToDate } };
}
