// Names of resources, as Istio gives them to proxyless gRPC clients (so that its tools and habits carry over).

/** `outbound|<port>|<subset>|<host>`: the name of a cluster and of its endpoints. The default subset is empty. */
export interface ParsedClusterName {
  readonly direction: "outbound" | "interface";
  /** 0 for an interface: its instances have ports of their own. */
  readonly port: number;
  readonly subset: string;
  /** A host's full name, or an interface's. */
  readonly host: string;
}

export function clusterName(host: string, port: number, subset = ""): string {
  return `outbound|${port}|${subset}|${host}`;
}

/**
 * `interface|0|<subset>|<interface>`: the cluster and endpoints of what exports an interface; with the default subset also
 * the name of its route configuration.
 */
export function interfaceClusterName(interfaceName: string, subset = ""): string {
  return `interface|0|${subset}|${interfaceName}`;
}

/** The parts of a cluster name, or undefined where it isn't one of ours. */
export function parseClusterName(name: string): ParsedClusterName | undefined {
  const [direction, port, subset, host, ...rest] = name.split("|");
  if ((direction !== "outbound" && direction !== "interface") || rest.length > 0) return undefined;
  if (port === undefined || subset === undefined || host === undefined || host === "") return undefined;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65535) return undefined;
  return { direction, port: Number(port), subset, host };
}

/** The route configuration of a host's port: `outbound|<port>||<host>`. */
export function routeName(host: string, port: number): string {
  return clusterName(host, port);
}

/** The host and port that a route configuration belongs to, or undefined where the name isn't one. */
export function parseRouteName(name: string): ParsedClusterName | undefined {
  const parsed = parseClusterName(name);
  return parsed?.subset === "" ? parsed : undefined;
}

/** What stands before the listening address in a server listener's name. */
export const inboundListenerNamePrefix = "xds.istio.io/grpc/lds/inbound/";

/** The bootstrap's `server_listener_resource_name_template`. */
export const inboundListenerNameTemplate = `${inboundListenerNamePrefix}%s`;

/** The listener of a server bound to `address`, e.g. `0.0.0.0:17070` or `[::]:17070`. */
export function inboundListenerName(address: string): string {
  return `${inboundListenerNamePrefix}${address}`;
}

/** The bound address in a server listener's name, or undefined where the name is a client's. */
export function parseInboundListenerName(name: string): { readonly host: string; readonly port: number } | undefined {
  if (!name.startsWith(inboundListenerNamePrefix)) return undefined;
  const address = /^(.+):(\d{1,5})$/.exec(name.slice(inboundListenerNamePrefix.length));
  if (address?.[1] === undefined || Number(address[2]) > 65535) return undefined;
  return { host: address[1].replace(/^\[(.*)\]$/, "$1"), port: Number(address[2]) };
}
