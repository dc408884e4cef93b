import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/** A certificate with the key that belongs to it. */
export interface KeyedCertificate {
  readonly certificate: x509.X509Certificate;
  readonly privateKey: webcrypto.CryptoKey;
  readonly privateKeyPem: string;
}

/** From when to when a certificate holds. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

type Keys = Awaited<ReturnType<typeof newKeys>>;
const newKeys = () => webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);

function keyed(certificate: x509.X509Certificate, keys: Keys): KeyedCertificate {
  const privateKeyPem = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();
  return { certificate, privateKey: keys.privateKey, privateKeyPem };
}

function authorityExtensions(pathLength: number): x509.Extension[] {
  return [
    new x509.BasicConstraintsExtension(true, pathLength, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ];
}

/** A self-signed root for `trustDomain`. */
export async function createRoot(trustDomain: string, validity: Validity): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const extensions = [...authorityExtensions(1), await x509.SubjectKeyIdentifierExtension.create(keys.publicKey)];
  const name = `O=${trustDomain}, CN=Weft root`;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    { name, keys, signingAlgorithm, extensions, ...validity },
    webcrypto,
  );
  return keyed(certificate, keys);
}

/** An intermediate, which may sign leaves and nothing else. */
export async function createIntermediate(root: KeyedCertificate, validity: Validity): Promise<KeyedCertificate> {
  const keys = await newKeys();
  const subject = root.certificate.subject.replace("Weft root", "Weft intermediate");
  const certificate = await issue(root, keys.publicKey, subject, validity, authorityExtensions(0));
  return keyed(certificate, keys);
}

/**
 * A leaf for `publicKey`: for both ends of TLS and for nothing else, its names in the SAN alone (the subject is empty,
 * so that the SAN is critical: RFC 5280 §4.2.1.6).
 */
export async function issueLeaf(
  issuer: KeyedCertificate,
  publicKey: x509.PublicKeyType,
  names: x509.JsonGeneralNames,
  validity: Validity,
  extensions: readonly x509.Extension[],
): Promise<x509.X509Certificate> {
  return await issue(issuer, publicKey, "", validity, [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    new x509.SubjectAlternativeNameExtension(names, true),
    ...extensions,
  ]);
}

async function issue(
  issuer: KeyedCertificate,
  publicKey: x509.PublicKeyType,
  subject: string,
  validity: Validity,
  extensions: readonly x509.Extension[],
): Promise<x509.X509Certificate> {
  return await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer.certificate.subject,
      publicKey,
      signingKey: issuer.privateKey,
      signingAlgorithm,
      extensions: [
        ...extensions,
        await x509.SubjectKeyIdentifierExtension.create(publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(issuer.certificate.publicKey),
      ],
      ...validity,
    },
    webcrypto,
  );
}

/** Reads a key and certificate back from PEM. */
export async function readKeyed(privateKeyPem: string, certificatePem: string): Promise<KeyedCertificate> {
  const der = x509.PemConverter.decodeFirst(privateKeyPem);
  const privateKey = await webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, true, ["sign"]);
  return { certificate: new x509.X509Certificate(certificatePem), privateKey, privateKeyPem };
}

export function certificatePem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
