import type { X509Certificate as Certificate } from "node:crypto";
import { isIP, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { TlsClientSettings } from "./credentials.ts";
import { type PeerVerdict, verifyPeer } from "./peer-verification.ts";
import { clientContext } from "./secure-context.ts";
import { type HandshakeLimits, handshake, type TlsConnection } from "./tls-connection.ts";
import { explainTlsError, TlsError } from "./tls-error.ts";

/**
 * Secures `socket`, which is connected to `host`, as a client: TLS 1.3 (at least 1.2), ALPN h2, and the peer verified.
 *
 * Rejects with a TlsError and destroys the socket on anything less. Sessions are never resumed: each handshake
 * verifies anew. After the promise resolves the caller owns the TLS socket and its errors.
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
      const secured = connect({
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
        const certificate = secured.getPeerX509Certificate();
        const verdict = judge(secured, certificate, settings, serverName);
        if (verdict.kind === "refused" || certificate === undefined) {
          const reason = verdict.kind === "refused" ? verdict.reason : "it showed no certificate";
          return refuse(new TlsError("wrong-identity", `${peer} is not who was called: ${reason}`));
        }
        if (secured.alpnProtocol !== "h2") {
          return refuse(new TlsError("no-h2", `${peer} does not offer HTTP/2 (ALPN h2)`));
        }
        secured.off("error", failed).off("close", closed);
        accept({
          socket: secured,
          peer: { certificate, spiffeId: verdict.spiffeId, notAfter: certificate.validToDate },
        });
      });
      const failed = (error: Error) => refuse(explainTlsError(error, peer));
      const closed = () => refuse(new TlsError("closed", `${peer} closed the connection during the TLS handshake`));
      secured.on("error", failed).on("close", closed);
      return () => secured.destroy();
    });
  } catch (error) {
    socket.destroy();
    throw explainTlsError(error, peer);
  }
}

function judge(
  secured: TLSSocket,
  certificate: Certificate | undefined,
  settings: TlsClientSettings,
  serverName: string,
): PeerVerdict {
  // Node reports these before it says "secureConnect"; asked again because everything rests on them.
  if (!secured.authorized || certificate === undefined) {
    return { kind: "refused", reason: "its certificate was not verified" };
  }
  return verifyPeer(certificate, settings.verify, serverName);
}
