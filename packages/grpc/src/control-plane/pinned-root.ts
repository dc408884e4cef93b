import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { explainTlsError, TlsError } from "../identity/tls-error.ts";

/** Where to ask, what to expect, and for how long. */
export interface PinnedRootOptions {
  readonly host: string;
  readonly port: number;
  readonly rootSha256: Buffer;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Longer than any chain that an honest control plane shows. */
const longestChain = 8;

/**
 * The root certificate (PEM) whose SHA-256 is `rootSha256`, as the server at `host:port` shows it at the end of its chain.
 *
 * The one connection of this package that trusts nobody: nothing is sent on it, and nothing of it is believed but a
 * certificate that has the expected hash and signed itself. Rejects with a TlsError where there is none.
 */
export function fetchPinnedRoot(options: PinnedRootOptions): Promise<string> {
  const { host, port, timeoutMs, signal } = options;
  const peer = `the control plane at ${host}:${port}`;
  return new Promise((resolve, reject) => {
    const socket = connect({
      host,
      port,
      ALPNProtocols: ["h2"],
      minVersion: "TLSv1.2",
      rejectUnauthorized: false,
      ...(isIP(host) === 0 ? { servername: host } : {}),
    });
    socket.unref();
    const end = (error: unknown, pem?: string) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      // Errors of a socket that is on its way out have nobody to tell.
      socket.on("error", () => undefined).destroy();
      if (pem === undefined) reject(explainTlsError(error, peer));
      else resolve(pem);
    };
    const timer = setTimeout(() => {
      end(new TlsError("timeout", `${peer} did not finish the TLS handshake within ${timeoutMs} ms`));
    }, timeoutMs);
    const aborted = () => end(new TlsError("closed", "joining was called off", { cause: signal.reason }));
    signal.addEventListener("abort", aborted, { once: true });
    socket.once("error", end);
    socket.once("secureConnect", () => {
      const pem = rootAmong(shownChain(socket), options.rootSha256);
      end(new TlsError("unknown-authority", `${peer} does not show the root that the join token was made for`), pem);
    });
    if (signal.aborted) aborted();
  });
}

function shownChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let link: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  const seen = new Set<DetailedPeerCertificate>();
  // A self-signed certificate is its own issuer.
  while (link?.raw !== undefined && !seen.has(link) && chain.length < longestChain) {
    seen.add(link);
    chain.push(new X509Certificate(link.raw));
    link = link.issuerCertificate;
  }
  return chain;
}

function rootAmong(chain: readonly X509Certificate[], expected: Buffer): string | undefined {
  return chain.find((certificate) => isExpectedRoot(certificate, expected))?.toString();
}

function isExpectedRoot(certificate: X509Certificate, expected: Buffer): boolean {
  const hash = createHash("sha256").update(certificate.raw).digest();
  if (hash.length !== expected.length || !timingSafeEqual(hash, expected)) return false;
  return certificate.ca && certificate.checkIssued(certificate) && certificate.verify(certificate.publicKey);
}
