/** What a proof allows beyond the name itself. Travels from the join token into every certificate that follows from it. */
export interface Bounds {
  /**
   * What each of its workloads carries, whether it says so or not: a workload that could leave a label out could step out
   * of a policy that selects by it.
   */
  readonly labels: Readonly<Record<string, string>>;
  /** Whether a workload may carry other labels besides. */
  readonly anyLabel: boolean;
  /** CIDR blocks that a workload's address may lie in, beside the session's own address. */
  readonly addresses: readonly string[];
}

/** Who is calling, and what of itself it may say: always from a proof, never from what the caller claims. */
export interface Identity extends Bounds {
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly proof: Proof;
}

/** How an identity was proven. */
export type Proof =
  | { readonly kind: "token"; readonly tokenId: string }
  | { readonly kind: "certificate"; readonly serialNumber: string };
