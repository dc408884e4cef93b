import "reflect-metadata";
import { createHash, createPublicKey } from "node:crypto";
import { Pkcs10CertificateRequest, type PublicKey } from "@peculiar/x509";

/** A request whose signature proves that the caller has the key. Nothing else of it is used. */
export interface SigningRequest {
  readonly publicKey: PublicKey;
  /** SHA-256 of the public key's DER, in hex. */
  readonly publicKeyHash: string;
}

const largestPem = 16 * 1024;
const smallestRsaBits = 2048;
const curves: readonly (string | undefined)[] = ["prime256v1", "secp384r1", "secp521r1"];

/** The checked request, or why it is refused. */
export async function readSigningRequest(pem: string): Promise<SigningRequest | { readonly problem: string }> {
  if (pem.length > largestPem) return { problem: `the CSR has ${pem.length} characters; ${largestPem} are allowed` };
  let request: Pkcs10CertificateRequest;
  let isSigned: boolean;
  try {
    request = new Pkcs10CertificateRequest(pem);
    isSigned = await request.verify();
  } catch (error) {
    return { problem: `the CSR cannot be read: ${(error as Error).message}` };
  }
  if (!isSigned) return { problem: "the CSR's signature is not by its own key" };
  const der = Buffer.from(request.publicKey.rawData);
  const weak = weakness(der);
  if (weak !== undefined) return { problem: weak };
  return { publicKey: request.publicKey, publicKeyHash: createHash("sha256").update(der).digest("hex") };
}

function weakness(spki: Buffer): string | undefined {
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case "rsa":
      return (modulusLength ?? 0) >= smallestRsaBits ? undefined : `an RSA key of ${modulusLength} bits is too weak`;
    case "ec":
      return curves.includes(namedCurve) ? undefined : `the curve ${namedCurve} is not accepted`;
    default:
      return `a key of type ${key.asymmetricKeyType} is not accepted: use ECDSA P-256 or RSA`;
  }
}
