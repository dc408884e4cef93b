// Where the entries join what must not know of xDS with what does. Nothing of xDS is loaded until it is used.
import { registerResolver } from "./channel/resolver.ts";
import { createServer as createPlainServer, type Server, type ServerOptions } from "./server/server.ts";
import { registerXdsListening } from "./server/xds-listening.ts";

/** How a server is made, whether it is in a mesh or not. */
export interface MeshServerOptions extends ServerOptions {
  /**
   * The control plane says how connections are treated, and clients find this server through it. `credentials` of kind
   * `xds` mean the same and bring a fallback; without them the fallback is plaintext.
   */
  readonly xds?: boolean;
}

/** A server that serves nothing yet and listens nowhere. */
export function createServer(options: MeshServerOptions = {}): Server {
  const { xds, ...others } = options;
  const { credentials, listening } = others;
  if (xds !== true && credentials?.kind !== "xds") return createPlainServer(others);
  if (listening !== undefined) throw new TypeError("`xds` and `listening` both say how connections are treated");
  if (credentials !== undefined && credentials.kind !== "xds") {
    throw new TypeError("`xds` needs xDS credentials: xdsServerCredentials(fallback)");
  }
  return createPlainServer({ ...others, credentials: credentials ?? { kind: "xds", fallback: { kind: "insecure" } } });
}

/** Makes `xds:` targets and xDS credentials known. */
export function registerXds(): void {
  registerResolver("xds", async () => {
    const [{ processControlPlane }, { xdsPlaneOf }, { xdsResolver }] = await Promise.all([
      import("./control-plane/process-control-plane.ts"),
      import("./xds/xds-plane.ts"),
      import("./xds/resolver.ts"),
    ]);
    return xdsResolver(xdsPlaneOf(await processControlPlane()));
  });
  registerXdsListening(async () => (await import("./registration/mesh-listener.ts")).processXdsListening);
}
