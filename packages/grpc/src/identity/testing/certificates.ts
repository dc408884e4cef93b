import "reflect-metadata";
import { KeyObject, webcrypto } from "node:crypto";
import * as x509 from "@peculiar/x509";
import type { TlsMaterial } from "../material.ts";
import { tlsMaterial } from "../pem.ts";

// Certificates for tests, good and bad on purpose: an authority of ours would refuse to make most of them.

const algorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
type Keys = Awaited<ReturnType<typeof newKeys>>;

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
const keyPem = (keys: Keys) => KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }).toString();

export interface TestLeaf {
  readonly uris?: readonly string[];
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly isCa?: boolean;
}

/** A root with an intermediate below it. */
export interface TestAuthority {
  readonly rootPem: string;
  readonly intermediatePem: string;
  /** A key with its certificate; `rootsPem` is this authority's root unless told. */
  issue(leaf: TestLeaf, rootsPem?: string): Promise<TlsMaterial>;
  /** The chain for `csrPem`: leaf, intermediate, root. */
  sign(csrPem: string, leaf: TestLeaf): Promise<string[]>;
}

const hour = 3_600_000;
const validity = (from?: Date, to?: Date) => ({
  notBefore: from ?? new Date(Date.now() - hour),
  notAfter: to ?? new Date(Date.now() + hour),
});

export async function createTestAuthority(name = "test root"): Promise<TestAuthority> {
  const rootKeys = await newKeys();
  const caExtensions = [
    new x509.BasicConstraintsExtension(true, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.digitalSignature, true),
  ];
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    { name: `CN=${name}`, keys: rootKeys, signingAlgorithm, extensions: caExtensions, ...validity() },
    webcrypto,
  );
  const keys = await newKeys();
  const issuer = `CN=${name} intermediate`;
  const intermediate = await x509.X509CertificateGenerator.create(
    {
      subject: issuer,
      issuer: `CN=${name}`,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm,
      extensions: caExtensions,
      ...validity(),
    },
    webcrypto,
  );
  const rootPem = `${root.toString("pem")}\n`;
  const intermediatePem = `${intermediate.toString("pem")}\n`;

  const certificate = async (publicKey: x509.PublicKeyType, leaf: TestLeaf): Promise<string> => {
    const names = [
      ...(leaf.uris ?? []).map((value) => ({ type: "url" as const, value })),
      ...(leaf.dns ?? []).map((value) => ({ type: "dns" as const, value })),
      ...(leaf.ips ?? []).map((value) => ({ type: "ip" as const, value })),
    ];
    const made = await x509.X509CertificateGenerator.create(
      {
        issuer,
        publicKey,
        signingKey: keys.privateKey,
        signingAlgorithm,
        extensions: [
          ...(leaf.isCa === true ? caExtensions : [new x509.BasicConstraintsExtension(false, undefined, true)]),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
          ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names, true)]),
        ],
        ...validity(leaf.notBefore, leaf.notAfter),
      },
      webcrypto,
    );
    return `${made.toString("pem")}\n`;
  };

  return {
    rootPem,
    intermediatePem,
    async issue(leaf, rootsPem = rootPem) {
      const leafKeys = await newKeys();
      const certificateChainPem = (await certificate(leafKeys.publicKey, leaf)) + intermediatePem;
      return tlsMaterial({ privateKeyPem: keyPem(leafKeys), certificateChainPem, rootsPem });
    },
    async sign(csrPem, leaf) {
      const request = new x509.Pkcs10CertificateRequest(csrPem);
      return [await certificate(request.publicKey, leaf), intermediatePem, rootPem];
    },
  };
}
