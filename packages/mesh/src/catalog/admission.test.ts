import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { expect, test } from "vitest";
import type { Identity } from "../authn/identity.ts";
import { defaultMeshSettings } from "../model/mesh-settings.ts";
import { admitNode } from "./admission.ts";

const identity: Identity = {
  spiffeId: "spiffe://cluster.local/ns/shop/sa/app",
  trustDomain: "cluster.local",
  namespace: "shop",
  serviceAccount: "app",
  labels: {},
  anyLabel: false,
  addresses: [],
  proof: { kind: "token", tokenId: "t" },
};

function node(metadata: Record<string, unknown> = {}): Node {
  return message(Node, { id: "n", userAgentName: "gRPC Go", metadata });
}

test("a proven node reads as its proof says", () => {
  expect(admitNode(node(), identity, defaultMeshSettings)).toEqual({
    kind: "admitted",
    audience: {
      namespace: "shop",
      nodeId: "n",
      spiffeId: identity.spiffeId,
      trustDomain: "cluster.local",
      userAgent: "gRPC Go",
    },
  });
});

test.each([{ NAMESPACE: "bank" }, { NAMESPACE: "shop", SERVICE_ACCOUNT: "root" }])(
  "a node that claims %o against its proof is refused",
  (metadata) => {
    expect(admitNode(node(metadata), identity, defaultMeshSettings)).toMatchObject({
      kind: "refused",
      refusal: { code: "PERMISSION_DENIED" },
    });
  },
);

test("without a proof a node reads in the namespace that it claims, or in default", () => {
  expect(admitNode(node({ NAMESPACE: "shop" }), undefined, defaultMeshSettings)).toMatchObject({
    audience: { namespace: "shop" },
  });
  const { audience } = admitNode(node({ NAMESPACE: 7 }), undefined, defaultMeshSettings) as { audience: object };
  expect(audience).toMatchObject({ namespace: "default" });
  expect(audience).not.toHaveProperty("spiffeId");
});
