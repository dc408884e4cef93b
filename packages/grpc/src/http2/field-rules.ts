// What RFC 9113 §8.2 and RFC 9110 §5 allow in a field's name and value.

// token characters of RFC 9110 §5.6.2 without capitals: 1 = allowed
const nameCharacters = new Uint8Array(256);
for (const character of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
  nameCharacters[character.charCodeAt(0)] = 1;

/** What a name means to HTTP/2 itself; anything else is `regular`. Pseudo-header fields come first so that one comparison finds them. */
export const NameKind = {
  method: 1,
  scheme: 2,
  authority: 3,
  path: 4,
  status: 5,
  /** A pseudo-header field that is not defined or not for us: makes the message malformed. */
  unknownPseudo: 6,
  regular: 7,
  te: 8,
  contentLength: 9,
  /** Not a name that HTTP/2 carries: capitals, odd characters, connection-specific fields. */
  forbidden: 10,
} as const;

const kinds = new Map<string, number>([
  [":method", NameKind.method],
  [":scheme", NameKind.scheme],
  [":authority", NameKind.authority],
  [":path", NameKind.path],
  [":status", NameKind.status],
  ["te", NameKind.te],
  ["content-length", NameKind.contentLength],
  ["connection", NameKind.forbidden],
  ["proxy-connection", NameKind.forbidden],
  ["keep-alive", NameKind.forbidden],
  ["transfer-encoding", NameKind.forbidden],
  ["upgrade", NameKind.forbidden],
]);

/** The `NameKind` of a received name (RFC 9113 §8.2.1, §8.2.2, §8.3). */
export function nameKindOf(name: string): number {
  const known = kinds.get(name);
  if (known !== undefined) return known;
  if (name.charCodeAt(0) === 0x3a) return NameKind.unknownPseudo;
  return isName(name) ? NameKind.regular : NameKind.forbidden;
}

function isName(name: string): boolean {
  for (let i = 0; i < name.length; i += 1) if (nameCharacters[name.charCodeAt(i)] !== 1) return false;
  return name.length > 0;
}

/**
 * Whether a field's value may be carried: bytes only, no control characters but tab, no space around it.
 *
 * Stricter than RFC 9113 §8.2.1 (which only forbids NUL, CR and LF) because RFC 9110 §5.5 has no other controls either.
 */
export function isValue(value: string): boolean {
  const { length } = value;
  if (length === 0) return true;
  for (let i = 0; i < length; i += 1) {
    const c = value.charCodeAt(i);
    // one comparison for what is printable, which is nearly everything
    if ((c - 0x20) >>> 0 < 0x5f) continue;
    if ((c < 0x20 && c !== 0x09) || c === 0x7f || c > 0xff) return false;
  }
  return !isSpace(value.charCodeAt(0)) && !isSpace(value.charCodeAt(length - 1));
}

function isSpace(c: number): boolean {
  return c === 0x20 || c === 0x09;
}

/** Throws a TypeError for a name that we must not send: a caller's mistake, caught before it reaches the wire. */
export function assertName(name: string): void {
  const kind = nameKindOf(name);
  if (kind === NameKind.forbidden || kind === NameKind.unknownPseudo) {
    throw new TypeError(`"${name}" is not a header name that HTTP/2 carries`);
  }
}

/** Throws a TypeError for a value that we must not send. */
export function assertValue(name: string, value: string): void {
  if (!isValue(value)) throw new TypeError(`value of header "${name}" has characters that HTTP/2 doesn't carry`);
}
