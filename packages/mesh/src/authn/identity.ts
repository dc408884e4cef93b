/**
 * Who is calling, and what of itself it may say: always from a proof, never from what the caller claims.
 *
 * `allowedLabels` undefined allows any label; `allowedAddresses` are CIDR blocks beside the session's own address.
 */
export interface Identity {
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly allowedLabels?: Readonly<Record<string, string>> | undefined;
  readonly allowedAddresses?: readonly string[] | undefined;
  readonly proof: Proof;
}

/** How an identity was proven. */
export type Proof =
  | { readonly kind: "token"; readonly tokenId: string }
  | { readonly kind: "certificate"; readonly serialNumber: string };

/** What a proof allows beyond the name itself. Travels from the join token into every certificate that follows from it. */
export interface Bounds {
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly addresses?: readonly string[] | undefined;
}
