import { networkInterfaces } from "node:os";
import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { packageVersion } from "../channel/user-agent.ts";

/** What speaks, in `Node.user_agent_name`: the control plane sends each kind of client only what it accepts. */
export const userAgentName = "weft-node";

/** Who a process is, once it has joined. */
export interface NodeParts {
  /** WEFT_ADDRESS; empty: one of the machine's own. */
  readonly address: string;
  /** Unique among the processes of the mesh: a registration is found by the node id. */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** The node that a joined process says it is, with Istio's form of id: `sidecar~<ip>~<name>.<ns>~<ns>.svc.cluster.local`. */
export function joinedNode({ address, name, namespace, labels }: NodeParts): Node {
  const ip = address === "" ? ownAddress() : address;
  return withUserAgent(
    message(Node, {
      id: `sidecar~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`,
      metadata: { GENERATOR: "grpc", NAMESPACE: namespace, INSTANCE_IPS: ip, LABELS: labels },
      locality: { region: "", zone: "", subZone: "" },
    }),
  );
}

/** `node` as this package sends it (gRFC A27: the client says what it is, whatever a bootstrap holds). */
export function withUserAgent(node: Node): Node {
  return {
    ...node,
    userAgentName,
    userAgentVersionType: { $case: "userAgentVersion", value: packageVersion },
    clientFeatures: ["envoy.lb.does_not_support_overprovisioning", "xds.config.resource-in-sotw"],
  };
}

/** `text` as a part of a node id: its characters are what host names have. */
export function nodeName(text: string): string {
  return (
    text
      .toLowerCase()
      .replaceAll(/[^a-z0-9-]+/g, "-")
      .slice(0, 63)
      .replaceAll(/^-+|-+$/g, "") || "process"
  );
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find((address) => address.family === "IPv4" && !address.internal)?.address ?? "127.0.0.1";
}
