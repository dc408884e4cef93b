import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** PEM texts: the root, and one P-256 key with its certificate, which is good for 127.0.0.1 and for both roles. */
export interface Certificates {
  readonly root: string;
  readonly key: string;
  readonly certificate: string;
}

/** Makes a root and a leaf for this run and writes them into `folder`, as the Go program reads them too. */
export async function writeCertificates(folder: string): Promise<void> {
  await import("reflect-metadata");
  const { KeyObject, webcrypto } = await import("node:crypto");
  const x509 = await import("@peculiar/x509");
  const newKeys = () => webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
  const [rootKeys, keys] = await Promise.all([newKeys(), newKeys()]);
  const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };
  const hourMs = 3_600_000;
  const validity = { notBefore: new Date(Date.now() - hourMs), notAfter: new Date(Date.now() + 24 * hourMs) };
  const root = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: "CN=bench root",
      keys: rootKeys,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
      ...validity,
    },
    webcrypto,
  );
  const leaf = await x509.X509CertificateGenerator.create(
    {
      subject: "CN=bench",
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: rootKeys.privateKey,
      signingAlgorithm,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
        new x509.SubjectAlternativeNameExtension([
          { type: "dns", value: "localhost" },
          { type: "ip", value: "127.0.0.1" },
        ]),
      ],
      ...validity,
    },
    webcrypto,
  );
  const key = KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" });
  writeFileSync(join(folder, "root.pem"), root.toString("pem"));
  writeFileSync(join(folder, "key.pem"), key, { mode: 0o600 });
  writeFileSync(join(folder, "certificate.pem"), leaf.toString("pem"));
}

/** What `writeCertificates` wrote; undefined for no folder, which means plaintext. */
export function readCertificates(folder: string): Certificates | undefined {
  if (folder === "") return undefined;
  const read = (name: string) => readFileSync(join(folder, `${name}.pem`), "utf8");
  return { root: read("root"), key: read("key"), certificate: read("certificate") };
}
