import { createHash, timingSafeEqual } from "node:crypto";

/**
 * A join token: one string with which a process joins.
 *
 * `weft1.<secret>.<root hash>`, both parts 32 bytes in base64url. The secret proves who calls; the SHA-256 of the root
 * certificate lets the caller know the control plane before it sends the secret.
 */
export interface JoinToken {
  readonly secret: Buffer;
  readonly rootHash: Buffer;
}

const version = "weft1";
const partBytes = 32;

/** A new token's text. `random` gives that many unpredictable bytes. */
export function mintJoinToken(rootDer: Uint8Array, random: (bytes: number) => Uint8Array): string {
  const rootHash = createHash("sha256").update(rootDer).digest();
  return [version, Buffer.from(random(partBytes)).toString("base64url"), rootHash.toString("base64url")].join(".");
}

/** The parts of a token's text, or undefined where it isn't one. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const [prefix, secret, rootHash, ...rest] = text.split(".");
  if (prefix !== version || secret === undefined || rootHash === undefined || rest.length > 0) return undefined;
  const token = { secret: Buffer.from(secret, "base64url"), rootHash: Buffer.from(rootHash, "base64url") };
  return token.secret.length === partBytes && token.rootHash.length === partBytes ? token : undefined;
}

/** What is stored of a token: the SHA-256 of its secret, in hex. A hash of 256 random bits needs no salt. */
export function joinTokenHash(token: JoinToken): string {
  return createHash("sha256").update(token.secret).digest("hex");
}

/** Whether two hashes are the same, in a time that doesn't tell where they differ. */
export function sameHash(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a, "hex"), Buffer.from(b, "hex")];
  return left.length === right.length && timingSafeEqual(left, right);
}
