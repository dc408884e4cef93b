/** Why a handshake, or what came with it, was refused. */
export type TlsErrorKind =
  /** No connection came about at all. */
  | "unreachable"
  /** The other side doesn't speak TLS. */
  | "plaintext-peer"
  /** The chain is past its end, or not yet begun. */
  | "expired"
  /** The chain doesn't end in a root that is trusted here. */
  | "unknown-authority"
  /** The chain is good, the name is another. */
  | "wrong-identity"
  /** The server asks for a certificate that was not shown. */
  | "no-certificate"
  /** The other side refused what this side showed. */
  | "refused-by-peer"
  /** No HTTP/2 by ALPN. */
  | "no-h2"
  /** This side has no certificate yet, or none that is still valid. */
  | "not-ready"
  | "timeout"
  | "closed"
  | "other";

/** A connection that could not be secured. `message` is made for a person: what was expected, and what was found. */
export class TlsError extends Error {
  override readonly name = "TlsError";
  readonly kind: TlsErrorKind;

  constructor(kind: TlsErrorKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.kind = kind;
  }
}

const expiredCodes = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);
const authorityCodes = new Set([
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "CERT_CHAIN_TOO_LONG",
  "PATH_LENGTH_EXCEEDED",
  "INVALID_CA",
]);
const unreachableReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "its name does not resolve",
  EAI_AGAIN: "its name can't be resolved now",
  EHOSTUNREACH: "there is no route to it",
  ENETUNREACH: "there is no route to it",
  ETIMEDOUT: "it does not answer",
};
/** First bytes that aren't a TLS record, as OpenSSL reports them (by what it takes them for). */
const plaintextReasons =
  /wrong.version.number|http.request|https.proxy.request|packet.length.too.long|unexpected.message|record.layer.failure/i;
const alertFromPeer = /alert/i;

/** `error`, as Node or OpenSSL gives it, in a person's words; `peer` names the other side. */
export function explainTlsError(error: unknown, peer: string): TlsError {
  if (error instanceof TlsError) return error;
  const cause = error instanceof Error ? error : new Error(String(error));
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : "";
  const explained = (kind: TlsErrorKind, message: string) => new TlsError(kind, message, { cause });
  if (expiredCodes.has(code)) {
    const when = code === "CERT_NOT_YET_VALID" ? "is not valid yet (check both clocks)" : "has expired";
    return explained("expired", `the certificate of ${peer} ${when}`);
  }
  if (authorityCodes.has(code)) {
    return explained("unknown-authority", `the certificate of ${peer} was not issued by a trusted root (${code})`);
  }
  if (code.startsWith("ERR_SSL_") || code === "EPROTO") return explainProtocolError(cause, code, peer, explained);
  const unreachable = unreachableReasons[code];
  if (unreachable !== undefined) return explained("unreachable", `${peer} can't be reached: ${unreachable} (${code})`);
  if (code === "ECONNRESET" || code === "EPIPE") {
    return explained("closed", `${peer} closed the connection during the TLS handshake`);
  }
  return explained("other", `TLS with ${peer} failed: ${cause.message}${code === "" ? "" : ` (${code})`}`);
}

function explainProtocolError(
  cause: Error,
  code: string,
  peer: string,
  explained: (kind: TlsErrorKind, message: string) => TlsError,
): TlsError {
  const text = `${code} ${cause.message}`;
  if (/no.application.protocol/i.test(text)) return explained("no-h2", `${peer} does not offer HTTP/2 (ALPN h2)`);
  if (/peer.did.not.return.a.certificate/i.test(text)) {
    return explained("no-certificate", `${peer} showed no certificate`);
  }
  if (alertFromPeer.test(text)) {
    const alert = /alert[ _]+(?!number)([a-z _]+)/i.exec(cause.message)?.[1]?.trim() ?? code;
    return explained("refused-by-peer", `${peer} refused the TLS handshake: ${alert}`);
  }
  if (plaintextReasons.test(text)) {
    return explained("plaintext-peer", `${peer} answered in plaintext where TLS was expected`);
  }
  return explained("other", `TLS with ${peer} failed: ${cause.message} (${code})`);
}
