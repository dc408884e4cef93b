import { KeyObject, webcrypto } from "node:crypto";

/** A fresh key, and the request that asks for its certificate. */
export interface CertificateRequest {
  /** PKCS #8. Never leaves the process. */
  readonly privateKeyPem: string;
  readonly csrPem: string;
}

/** P-256 and SHA-256: what every gRPC language's TLS accepts, and cheap to sign with. */
const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/**
 * A new P-256 key with its certificate signing request (PKCS #10).
 *
 * `spiffeId` goes into the request as its URI SAN, for authorities that look at it; ours and Istio's take the identity
 * from the caller's proof. The X.509 library is loaded here, on first use: a process that never asks doesn't pay for it.
 */
export async function createCertificateRequest(spiffeId?: string): Promise<CertificateRequest> {
  // The library's dependency injection wants the metadata polyfill before it.
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const keys = await webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
  const request = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      keys,
      signingAlgorithm,
      extensions:
        spiffeId === undefined ? [] : [new x509.SubjectAlternativeNameExtension([{ type: "url", value: spiffeId }])],
    },
    webcrypto,
  );
  const privateKeyPem = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
  return { privateKeyPem, csrPem: request.toString("pem") };
}
