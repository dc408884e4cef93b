import { inboundListenerNameTemplate } from "@weft/xds-api";
import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";

/** Where the agent keeps what the application reads. */
export interface AgentPaths {
  /** The unix socket that the application's xDS client dials. */
  readonly xdsSocket: string;
  readonly bootstrap: string;
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly roots: string;
}

/** How often gRPC looks at the certificate files; they change at half of a certificate's life. */
const refreshIntervalSeconds = 5;

/**
 * The bootstrap of an application behind this agent (gRFC A27, A29, A36), as every gRPC language reads it.
 *
 * It holds no secret: the socket's permissions are what lets the application in.
 */
export function agentBootstrap(node: Node, paths: AgentPaths): string {
  const bootstrap = {
    xds_servers: [
      {
        server_uri: `unix://${paths.xdsSocket}`,
        channel_creds: [{ type: "insecure" }],
        server_features: ["xds_v3"],
      },
    ],
    node: {
      id: node.id,
      cluster: node.cluster,
      metadata: node.metadata ?? {},
      // Every field is there: one client refuses a node without a locality.
      locality: {
        region: node.locality?.region ?? "",
        zone: node.locality?.zone ?? "",
        sub_zone: node.locality?.subZone ?? "",
      },
    },
    certificate_providers: {
      default: {
        plugin_name: "file_watcher",
        config: {
          certificate_file: paths.certificateChain,
          private_key_file: paths.privateKey,
          ca_certificate_file: paths.roots,
          refresh_interval: `${refreshIntervalSeconds}s`,
        },
      },
    },
    server_listener_resource_name_template: inboundListenerNameTemplate,
  };
  return `${JSON.stringify(bootstrap, null, 2)}\n`;
}
