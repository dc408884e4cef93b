import type { X509Certificate } from "node:crypto";
import type { TlsMaterial } from "./material.ts";
import { certificateSpiffeId } from "./peer-verification.ts";
import { parseCertificates, tlsMaterial } from "./pem.ts";

/** A longer chain than any authority has reason for. */
const longestChain = 8;

/**
 * What an authority answered to a CSR, checked before it is used: `chain` is the leaf, intermediates, and the root last
 * (Istio's order), each PEM text holding one or more.
 *
 * Throws with the reason where the leaf isn't for this key, names no SPIFFE id or another than `expectedId`, is not valid
 * at `now`, or where the chain doesn't hang together. Whether the root is to be trusted follows from who was asked.
 */
export function issuedMaterial(
  privateKeyPem: string,
  chain: readonly string[],
  expectedId: string | undefined,
  now: Date,
): TlsMaterial {
  const certificates = parseCertificates(chain.join("\n"), "the authority's answer");
  if (certificates.length < 2) throw new Error("the authority's answer lacks its root");
  if (certificates.length > longestChain) throw new Error(`the authority's chain is longer than ${longestChain}`);
  const root = certificates.at(-1);
  const leaf = certificates[0];
  if (root === undefined || leaf === undefined) throw new Error("the authority's answer is empty");
  certificates.forEach((certificate, index) => {
    checkIssuer(certificate, certificates[index + 1] ?? root, index);
  });
  const id = certificateSpiffeId(leaf);
  if ("problem" in id) throw new Error(`the authority's answer is unusable: ${id.problem}`);
  if (expectedId !== undefined && id.uri !== expectedId) {
    throw new Error(`the authority signed ${id.uri} where this process is ${expectedId}`);
  }
  if (leaf.validToDate <= now) throw new Error(`the authority's certificate ended at ${leaf.validTo} already`);
  return tlsMaterial({
    privateKeyPem,
    certificateChainPem: certificates.slice(0, -1).join(""),
    rootsPem: root.toString(),
  });
}

function checkIssuer(certificate: X509Certificate, issuer: X509Certificate, index: number): void {
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
    throw new Error(`certificate ${index + 1} of the authority's answer was not issued by the next one`);
  }
}
