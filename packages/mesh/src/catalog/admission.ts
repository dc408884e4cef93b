import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import type { Identity } from "../authn/identity.ts";
import type { Admission } from "../discovery/discovery.ts";
import type { MeshSettings } from "../model/mesh-settings.ts";
import type { Audience } from "../translate/audience.ts";

/**
 * As whom a client reads: by its proven identity, or, on the plaintext port, by what its node claims.
 *
 * A claim only chooses where short names are looked up. A node that claims another namespace or service account than it
 * proved is refused, as Istio does: it is misconfigured, or it lies.
 */
export function admitNode(node: Node, identity: Identity | undefined, settings: MeshSettings): Admission<Audience> {
  const namespace = claimOf(node, "NAMESPACE");
  const serviceAccount = claimOf(node, "SERVICE_ACCOUNT");
  if (identity !== undefined) {
    const { namespace: provenNamespace, serviceAccount: provenAccount } = identity;
    if ((namespace ?? provenNamespace) !== provenNamespace || (serviceAccount ?? provenAccount) !== provenAccount) {
      const claimed = `${namespace ?? provenNamespace}/${serviceAccount ?? provenAccount}`.slice(0, 200);
      const message = `node ${node.id.slice(0, 200)} says it is ${claimed}, its credential says ${identity.spiffeId}`;
      return { kind: "refused", refusal: { code: "PERMISSION_DENIED", message } };
    }
  }
  return {
    kind: "admitted",
    audience: {
      namespace: identity?.namespace ?? namespace ?? "default",
      nodeId: node.id,
      ...(identity === undefined ? {} : { spiffeId: identity.spiffeId }),
      trustDomain: settings.trustDomain,
      userAgent: node.userAgentName,
    },
  };
}

function claimOf(node: Node, key: "NAMESPACE" | "SERVICE_ACCOUNT"): string | undefined {
  const claimed: unknown = node.metadata?.[key];
  return typeof claimed === "string" && claimed !== "" ? claimed : undefined;
}
