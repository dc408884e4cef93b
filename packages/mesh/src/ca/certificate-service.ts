import { RpcError } from "@weft/grpc";
import type { IstioCertificateRequest, IstioCertificateResponse } from "@weft/xds-api/istio/v1/auth/ca";
import type { Identity } from "../authn/identity.ts";
import { type Authority, controlPlaneSpiffeId } from "./authority.ts";
import type { SigningBudgets } from "./signing-budgets.ts";
import { readSigningRequest } from "./signing-request.ts";

export interface CertificateServiceOptions {
  readonly authority: Authority;
  readonly budgets: SigningBudgets;
  readonly nowMs: () => number;
  /**
   * Takes note that the process with this public key joins with its token, durably, before anything is signed; why not,
   * where it may not. Not called for renewals, whose proof is the current certificate. Throws where it can't be kept.
   */
  readonly join: (tokenId: string, publicKeyHash: string) => string | undefined;
}

/**
 * Istio's CreateCertificate: signs `identity`, whatever the CSR says about names.
 *
 * Throws INVALID_ARGUMENT for a CSR that cannot be signed, RESOURCE_EXHAUSTED where the identity asks too often,
 * PERMISSION_DENIED where the token may not join another process, and for the control plane's own identity, which is never
 * handed out: whoever had it could pose as the control plane.
 */
export async function createCertificate(
  request: IstioCertificateRequest,
  identity: Identity,
  options: CertificateServiceOptions,
): Promise<IstioCertificateResponse> {
  if (identity.spiffeId === controlPlaneSpiffeId(identity.trustDomain)) {
    throw new RpcError("PERMISSION_DENIED", `${identity.spiffeId} is the control plane's own`);
  }
  if (!options.budgets.spend(identity.spiffeId, options.nowMs())) {
    throw new RpcError("RESOURCE_EXHAUSTED", `${identity.spiffeId} asks for too many certificates`);
  }
  const checked = await readSigningRequest(request.csr);
  if ("problem" in checked) throw new RpcError("INVALID_ARGUMENT", checked.problem);
  if (identity.proof.kind === "token") {
    const refused = noted(options, identity.proof.tokenId, checked.publicKeyHash);
    if (refused !== undefined) throw new RpcError("PERMISSION_DENIED", refused);
  }
  const wishMs = Number(request.validityDuration) * 1000;
  return { certChain: await options.authority.sign(checked, identity.spiffeId, identity, wishMs) };
}

function noted({ join }: CertificateServiceOptions, tokenId: string, publicKeyHash: string): string | undefined {
  try {
    return join(tokenId, publicKeyHash);
  } catch (cause) {
    // A use that is not on disk could be used again: no certificate then, but the caller may ask again.
    throw new RpcError("UNAVAILABLE", "the control plane can't take note of the join now", { cause });
  }
}
