import type { Metadata } from "./metadata.ts";

/** The call that credentials are asked for. */
export interface CredentialsContext {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** The call's `:authority`. */
  readonly authority: string;
  /** What tokens name as their audience: `https://` with the authority's host and the service. */
  readonly serviceUrl: string;
}

/**
 * Makes the metadata that proves who calls: asked anew for each call, which waits for it. Never sent in plaintext.
 *
 * An RpcError fails the call with its code, anything else with UNAUTHENTICATED.
 */
export type CallCredentials = (context: CredentialsContext) => Metadata | Promise<Metadata>;
