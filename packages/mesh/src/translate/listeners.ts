/**
 * What clients and servers subscribe to first. All of translate/ is pure: it asks a MeshReader, for an audience, and gives
 * messages whose bytes are equal whenever what was read is equal.
 *
 *   Listener ── names ──► RouteConfiguration ── names ──► Cluster ── names ──► ClusterLoadAssignment
 *   (dialled name)        outbound|port||host             outbound|port|subset|host (both)
 *                         interface|0||name               interface|0|subset|name
 */

import { interfaceClusterName, message, parseInboundListenerName, routeName } from "@weft/xds-api";
import { ApiListener } from "@weft/xds-api/envoy/config/listener/v3/api_listener";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import type { MeshReader } from "../model/mesh-reader.ts";
import type { Audience } from "./audience.ts";
import { resolveDialledName } from "./dialled-name.ts";
import { managerWithRouteName, managerWithRoutes } from "./http-connection-manager.ts";
import { serverListenerFor } from "./server-listeners.ts";

/**
 * The listener of a dialled name or of a server's bound address; undefined for names that aren't this mesh's and for
 * addresses that the audience hasn't registered.
 *
 * A name that would be ours but leads nowhere is answered with no routes, so that calls fail at once instead of waiting
 * for the client's 15 s timer; the name's own listener replaces it when the host or interface appears.
 */
export function listenerFor(reader: MeshReader, audience: Audience, name: string): Listener | undefined {
  if (parseInboundListenerName(name) !== undefined) return serverListenerFor(reader, audience, name);
  const target = resolveDialledName(reader, audience, name);
  switch (target.kind) {
    case "host":
      return clientListener(name, managerWithRouteName(routeName(target.host, target.port)));
    case "interface":
      return clientListener(name, managerWithRouteName(interfaceClusterName(target.name)));
    case "missing":
      return clientListener(name, managerWithRoutes(message(RouteConfiguration, { name: `missing|${name}` })));
    case "foreign":
      return undefined;
  }
}

/** No `address`: a client's listener has only the api_listener (Istio sends both, which broke gRPC C++ once). */
function clientListener(name: string, manager: Any): Listener {
  return message(Listener, { name, apiListener: message(ApiListener, { apiListener: manager }) });
}
