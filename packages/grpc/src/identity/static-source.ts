import type { IdentitySource, TlsMaterial, TrustSource } from "./material.ts";

/** Material that never changes; its roots are the material's. */
export function staticIdentity(material: TlsMaterial): IdentitySource {
  return {
    current: () => material,
    roots: () => material.rootsPem,
    status: () => ({ notAfter: material.notAfter, lastError: undefined, nextAttempt: undefined }),
    watch: () => neverChanges,
    close: neverChanges,
  };
}

/** Roots that never change. */
export function staticRoots(pem: string): TrustSource {
  return { roots: () => pem, watch: () => neverChanges };
}

function neverChanges(): void {
  // Nothing is watched, so there is nothing to stop.
}
