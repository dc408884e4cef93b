import type { TlsServerSettings } from "../identity/credentials.ts";
import { parseCertificates } from "../identity/pem.ts";

/**
 * Calls `rootGone` whenever a root that clients' chains may have ended in is no longer trusted; returns how to stop.
 * New roots beside the old ones are no news.
 */
export function watchTrust({ clients }: TlsServerSettings, rootGone: () => void): () => void {
  if (clients.kind === "anonymous" || clients.trust === "system") return nothingToStop;
  const { trust } = clients;
  let known = fingerprints(trust.roots());
  return trust.watch(() => {
    const current = fingerprints(trust.roots());
    const isGone = [...known].some((root) => !current.has(root));
    known = current;
    if (isGone) rootGone();
  });
}

function fingerprints(pem: string | undefined): ReadonlySet<string> {
  if (pem === undefined || pem === "") return new Set();
  try {
    return new Set(parseCertificates(pem, "the trusted roots").map((root) => root.fingerprint256));
  } catch {
    // A bundle that can't be read trusts nobody: handshakes fail with it too.
    return new Set();
  }
}

function nothingToStop(): void {
  // Anonymous clients have no chain, and the system's roots stay.
}
