/** What one side shows and what it trusts, at one moment. Immutable: a rotation gives a new object. */
export interface TlsMaterial {
  readonly privateKeyPem: string;
  /** The leaf first, then intermediates. */
  readonly certificateChainPem: string;
  /** Every root that a peer's chain may end in. */
  readonly rootsPem: string;
  /** The leaf's URI SAN; undefined where it has none, or several, or one that isn't a SPIFFE id. */
  readonly spiffeId: string | undefined;
  readonly notAfter: Date;
}

/** How a source is doing: what `weft status` shows long before a certificate runs out. */
export interface SourceStatus {
  /** The end of the current certificate. */
  readonly notAfter: Date | undefined;
  /** Why the last attempt to read or renew failed; undefined after a success. */
  readonly lastError: string | undefined;
  /** When it tries next. */
  readonly nextAttempt: Date | undefined;
}

/** Roots that may change while the process runs. */
export interface TrustSource {
  /** PEM; undefined while there is none yet. */
  roots(): string | undefined;
  /** Calls `changed` after each swap, in no particular turn; returns how to stop. */
  watch(changed: () => void): () => void;
}

/**
 * A key and certificate that may change while the process runs: static, from files, or renewed by CSR.
 *
 * Key and chain always belong together. A source that fails keeps its last good material and says so in `status`.
 * Whoever made the source closes it.
 */
export interface IdentitySource extends TrustSource {
  /** Undefined while there is none yet, and for a source that carries roots only. */
  current(): TlsMaterial | undefined;
  status(): SourceStatus;
  close(): void;
}
