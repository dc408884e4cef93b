/** What a process needs of its join token; the control plane, which minted it, knows the rest. */
export interface JoinToken {
  /** The whole, as it is sent. A secret: never in a message. */
  readonly text: string;
  /** SHA-256 of the root certificate's DER: by it the control plane is known before the token is sent. */
  readonly rootSha256: Buffer;
}

const pattern = /^weft1\.[A-Za-z0-9_-]{43}\.([A-Za-z0-9_-]{43})$/;

/** The token in `text` (`weft1.<secret>.<root hash>`), or undefined where it is none. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const hash = pattern.exec(text)?.[1];
  if (hash === undefined) return undefined;
  return { text, rootSha256: Buffer.from(hash, "base64url") };
}
