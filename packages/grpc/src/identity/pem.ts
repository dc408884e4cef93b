import type { X509Certificate } from "node:crypto";
import { lateBuiltins } from "../late-builtins.ts";
import type { TlsMaterial } from "./material.ts";
import { certificateSpiffeId } from "./peer-verification.ts";

const certificateBlock = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Far above any real chain or bundle; a file or an answer beyond it is a mistake. */
const mostCertificates = 256;

/** The certificates in `pem`, in order; `what` names the text in errors. Throws where there is none, or one that doesn't parse. */
export function parseCertificates(pem: string, what: string): X509Certificate[] {
  const blocks = pem.match(certificateBlock) ?? [];
  if (blocks.length === 0) throw new Error(`${what} holds no PEM certificate`);
  if (blocks.length > mostCertificates) throw new Error(`${what} holds more than ${mostCertificates} certificates`);
  const { X509Certificate } = lateBuiltins.crypto;
  return blocks.map((block, index) => {
    try {
      return new X509Certificate(block);
    } catch (cause) {
      throw new Error(`certificate ${index + 1} of ${what} cannot be read: ${(cause as Error).message}`, { cause });
    }
  });
}

/** The one certificate that opens `pem`. */
export function leafOf(pem: string, what: string): X509Certificate {
  const [leaf] = parseCertificates(pem, what);
  if (leaf === undefined) throw new Error(`${what} holds no PEM certificate`);
  return leaf;
}

/** Key, chain and roots (empty: none) as TlsMaterial. Throws where one cannot be read, or where the key isn't the leaf's. */
export function tlsMaterial(parts: {
  readonly privateKeyPem: string;
  readonly certificateChainPem: string;
  readonly rootsPem: string;
}): TlsMaterial {
  const leaf = leafOf(parts.certificateChainPem, "the certificate chain");
  if (parts.rootsPem !== "") parseCertificates(parts.rootsPem, "the root bundle");
  if (!leaf.checkPrivateKey(lateBuiltins.crypto.createPrivateKey(parts.privateKeyPem))) {
    throw new Error("the private key does not belong to the certificate");
  }
  const id = certificateSpiffeId(leaf);
  return { ...parts, spiffeId: "problem" in id ? undefined : id.uri, notAfter: leaf.validToDate };
}
