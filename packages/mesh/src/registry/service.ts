import type { ServerContext, ServiceHandlers } from "@weft/grpc";
import type { InterfaceRegistryDefinition } from "@weft/xds-api/weft/registry/v1/registry";
import type { CredentialBounds } from "./credential-bounds.ts";
import type { Registry } from "./registry.ts";
import { serveSession } from "./session.ts";

/**
 * The handlers of weft.registry.v1.InterfaceRegistry for a server's `add`.
 *
 * `identify` says who is calling, from proof alone, and throws RpcError (UNAUTHENTICATED) where there is none.
 */
export function registryHandlers(
  registry: Registry,
  identify: (context: ServerContext) => CredentialBounds,
): ServiceHandlers<InterfaceRegistryDefinition> {
  return {
    async *session(requests, context) {
      const bounds = identify(context);
      const peerAddress = hostOf(context.peer.address);
      yield* serveSession(registry, requests, { bounds, peerAddress, signal: context.signal });
    },
  };
}

/** The host of `host:port` or `[v6]:port`. */
function hostOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf(":"))).replace(/^\[(.*)\]$/, "$1");
}
