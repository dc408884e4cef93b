/** A target as written, `scheme://authority/path`, taken apart. */
export interface Target {
  readonly scheme: string;
  /** Between `//` and `/`; mostly empty. */
  readonly authority: string;
  /** The rest, without its leading slash (kept for `unix:`): `host:port`, `/run/app.sock`. */
  readonly path: string;
  /** As it was written. */
  readonly text: string;
}

const hierarchical = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/]*)\/(.*)$/s;
const opaque = /^([A-Za-z][A-Za-z0-9+.-]*):(.*)$/s;

/**
 * `text` taken apart as gRPC's naming document says: `scheme://authority/path`, `scheme:path`, and anything whose scheme
 * isn't known is a `dns` name. Throws a TypeError where a scheme was certainly meant and isn't known.
 */
export function parseTarget(text: string, isKnownScheme: (scheme: string) => boolean): Target {
  const full = hierarchical.exec(text);
  if (full !== null) {
    const [, scheme = "", authority = "", rest = ""] = full;
    if (!isKnownScheme(scheme))
      throw new TypeError(`target ${JSON.stringify(text)}: no resolver for "${scheme}:" is known`);
    return { scheme, authority, path: scheme === "unix" ? `/${rest}` : rest, text };
  }
  const short = opaque.exec(text);
  // "localhost:50051" has the form of a scheme and a path too: only known schemes count.
  if (short !== null && isKnownScheme(short[1]!)) return { scheme: short[1]!, authority: "", path: short[2]!, text };
  if (text === "") throw new TypeError("the target is empty");
  return { scheme: "dns", authority: "", path: text, text };
}
