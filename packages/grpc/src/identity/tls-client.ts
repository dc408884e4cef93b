import { isIP, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { lateBuiltins } from "../late-builtins.ts";
import type { TlsClientSettings } from "./credentials.ts";
import { verifyPeer } from "./peer-verification.ts";
import { clientContext } from "./secure-context.ts";
import { discard, type HandshakeLimits, handshake, type TlsConnection } from "./tls-connection.ts";
import { explainTlsError, TlsError } from "./tls-error.ts";

/**
 * Secures `socket`, which is connected to `host`, as a client: TLS 1.3 (at least 1.2), ALPN h2, and the peer verified.
 *
 * Rejects with a TlsError and destroys the socket on anything less. Sessions are never resumed: each handshake
 * verifies anew. After the promise resolves the caller owns the TLS socket and its errors.
 *
 * From the call on, `socket` belongs to the handshake: to give up, abort `limits.signal`; later, destroy the TLS socket,
 * never the one under it (both in one turn crash Node).
 */
export async function connectTls(
  socket: Socket,
  settings: TlsClientSettings,
  host: string,
  limits: HandshakeLimits = {},
): Promise<TlsConnection> {
  const serverName = settings.serverName ?? host;
  const peer = serverName === host ? host : `${host} (${serverName})`;
  try {
    const secureContext = clientContext(settings);
    return await handshake(limits, (accept, refuse) => {
      const secured = lateBuiltins.tls.connect({
        socket,
        secureContext,
        ALPNProtocols: ["h2"],
        // SNI carries names only (RFC 6066 §3).
        ...(isIP(serverName) === 0 && serverName !== "" ? { servername: serverName } : {}),
        // The chain is OpenSSL's to verify; the name is ours, below, where the refusal can say what was found.
        rejectUnauthorized: true,
        checkServerIdentity: () => undefined,
      });
      secured.once("secureConnect", () => {
        const verdict = judge(secured, settings, serverName, peer);
        if (verdict instanceof TlsError) return refuse(verdict);
        secured.off("error", failed).off("close", closed);
        accept(verdict);
      });
      const failed = (error: Error) => refuse(explainTlsError(error, peer));
      const closed = () => refuse(new TlsError("closed", `${peer} closed the connection during the TLS handshake`));
      secured.on("error", failed).on("close", closed);
      return () => secured.destroy();
    });
  } catch (error) {
    discard(socket);
    throw explainTlsError(error, peer);
  }
}

function judge(
  secured: TLSSocket,
  settings: TlsClientSettings,
  serverName: string,
  peer: string,
): TlsConnection | TlsError {
  const certificate = secured.getPeerX509Certificate();
  // Node has seen to this before it says "secureConnect"; asked again because everything rests on it.
  if (!secured.authorized || certificate === undefined) {
    return new TlsError("unknown-authority", `the certificate of ${peer} was not verified`);
  }
  const verdict = verifyPeer(certificate, settings.verify, serverName);
  if (verdict.kind === "refused") {
    return new TlsError("wrong-identity", `${peer} is not who was called: ${verdict.reason}`);
  }
  if (secured.alpnProtocol !== "h2") return new TlsError("no-h2", `${peer} does not offer HTTP/2 (ALPN h2)`);
  return { socket: secured, peer: { certificate, spiffeId: verdict.spiffeId, notAfter: certificate.validToDate } };
}
