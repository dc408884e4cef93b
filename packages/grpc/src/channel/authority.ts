import type { Target } from "./target.ts";

/** The `:authority` of calls to `target` where no option says otherwise: what the caller named, not what it resolved to. */
export function authorityOf(target: Target): string {
  if (target.scheme === "unix") return "localhost";
  // Several addresses: the first speaks for all.
  const name = target.path.split(",", 1)[0]!;
  return /^[\x21-\x7e]+$/.test(name) ? name : "localhost";
}
