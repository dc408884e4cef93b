import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { AuthorityError } from "./authority-error.ts";
import { certificatePem, type KeyedCertificate, readKeyed } from "./certificates.ts";
import type { KeyDirectory } from "./key-files.ts";

/**
 * The root kept in `keys`. Throws AuthorityError where any of it is missing or doesn't fit: every token and every workload
 * trusts this root and no other, so one is never made in the place of what was lost.
 */
export async function readRoot(keys: KeyDirectory, trustDomain: string, nowMs: number): Promise<KeyedCertificate> {
  const read = await readPair(keys, "root");
  if ("problem" in read) throw damaged(keys, read.problem);
  const { certificate } = read;
  const root = new X509Certificate(certificatePem(certificate));
  if (!root.ca || !root.checkIssued(root) || !root.verify(root.publicKey)) {
    throw damaged(keys, "root.pem is no root certificate");
  }
  const kept = /^O=(.*)$/m.exec(root.subject)?.[1];
  if (kept !== trustDomain) {
    const message = `the authority in ${keys.path} is trust domain ${kept}'s, not ${trustDomain}'s`;
    throw new AuthorityError("WEFT0312", message, { file: keys.path, hint: `start with --trust-domain ${kept}` });
  }
  if (certificate.notAfter.getTime() <= nowMs) {
    throw damaged(keys, `root.pem expired at ${certificate.notAfter.toISOString()}`);
  }
  return read;
}

/**
 * The intermediate kept in `keys`, or undefined where there is none that `root` vouches for: a crash between writing key
 * and certificate leaves a pair that doesn't fit. Nobody keeps an intermediate, so another one is as good.
 */
export async function readIntermediate(
  keys: KeyDirectory,
  root: KeyedCertificate,
): Promise<KeyedCertificate | undefined> {
  const read = await readPair(keys, "intermediate");
  if ("problem" in read) return undefined;
  const [issuer, own] = [root.certificate, read.certificate].map((one) => new X509Certificate(certificatePem(one)));
  if (issuer === undefined || own === undefined) return undefined;
  return own.ca && own.checkIssued(issuer) && own.verify(issuer.publicKey) ? read : undefined;
}

/** The files of a pair, as `KeyDirectory.create` takes them. The key first: `keep` writes them in this order. */
export function filesOf(name: string, { privateKeyPem, certificate }: KeyedCertificate): Record<string, string> {
  return { [`${name}-key.pem`]: privateKeyPem, [`${name}.pem`]: certificatePem(certificate) };
}

async function readPair(keys: KeyDirectory, name: string): Promise<KeyedCertificate | { readonly problem: string }> {
  const privateKeyPem = keys.read(`${name}-key.pem`);
  const certificate = keys.read(`${name}.pem`);
  if (privateKeyPem === undefined) return { problem: `${name}-key.pem is missing` };
  if (certificate === undefined) return { problem: `${name}.pem is missing` };
  try {
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKeyPem))) {
      return { problem: `${name}.pem and ${name}-key.pem don't belong together` };
    }
    return await readKeyed(privateKeyPem, certificate);
  } catch {
    // The parser's words could quote the file, and this one holds a key.
    return { problem: `${name}.pem or ${name}-key.pem is not readable as PEM` };
  }
}

function damaged(keys: KeyDirectory, problem: string): AuthorityError {
  return new AuthorityError("WEFT0311", `the certificate authority in ${keys.path} is damaged: ${problem}`, {
    file: join(keys.path, "root.pem"),
    hint: `restore ${keys.path} as a whole from a backup, or move it away: a new root is made then, and every workload joins anew`,
  });
}
