import type { TlsServerSettings } from "../identity/credentials.ts";

/** How a server treats a connection at the moment it is accepted. */
export type ListeningMode =
  | { readonly kind: "refuse"; readonly reason: string }
  | { readonly kind: "plaintext" }
  | { readonly kind: "tls"; readonly credentials: TlsServerSettings };

/**
 * Decides for each accepted socket of one bound address how it is spoken to.
 *
 * `mode` is read at every accept; after a change of it the policy calls `changed`, and the server drains (GOAWAY, grace,
 * then destroys) each connection that was accepted under a mode that no longer holds. The server calls `close` once,
 * when it stops listening. A policy that knows nothing yet says `refuse`: an unknown mode never serves plaintext.
 */
export interface ListeningPolicy {
  readonly mode: ListeningMode;
  watch(changed: () => void): void;
  /** Resolves once clients can know of this address, at the latest after `limitMs`: what `listen()` waits for, serving already. */
  published?(limitMs: number): Promise<void>;
  /**
   * Takes the address out of what clients know of, and resolves when they do as well as can be told: at the latest after
   * `limitMs`. Called before the server stops listening and says goodbye; until then it serves.
   */
  leave?(limitMs: number): Promise<void>;
  close(): void;
}

/** What a policy is made for: an address as it was asked for (`0.0.0.0` stays that), its real port, and what is served there. */
export interface BoundAddress {
  readonly host: string;
  readonly port: number;
  readonly portName: string;
  readonly interfaces: readonly string[];
}

/**
 * Makes the policy of one bound address. The socket is bound but `listen()` resolves only after this did; connections
 * that come before it are refused. A rejection fails `listen()` and unbinds. `signal` aborts when the server is closed
 * meanwhile: nobody waits for the policy any more.
 */
export type ListeningPolicyFactory = (bound: BoundAddress, signal: AbortSignal) => Promise<ListeningPolicy>;

/** The policy of a server whose mode never changes. */
export function fixedListeningPolicy(mode: ListeningMode): ListeningPolicy {
  return { mode, watch: ignoreChanges, close: ignoreClose };
}

function ignoreChanges(): void {
  // A fixed mode has no changes to tell.
}

function ignoreClose(): void {
  // A fixed mode holds nothing.
}
