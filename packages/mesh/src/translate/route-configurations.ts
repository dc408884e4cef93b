import { clusterName, interfaceClusterName, message, parseRouteName } from "@weft/xds-api";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import { Route, RouteMatch, VirtualHost } from "@weft/xds-api/envoy/config/route/v3/route_components";
import { parseServiceHost } from "../model/host-name.ts";
import type { MeshReader } from "../model/mesh-reader.ts";
import type { MeshSettings } from "../model/mesh-settings.ts";
import type { RouteDestination } from "../model/resource.ts";
import type { Audience } from "./audience.ts";
import { soleHost } from "./destination.ts";
import { onlyPort } from "./dialled-name.ts";
import { type ClusterOf, routesFrom, routeTo } from "./routes.ts";

/**
 * The route configuration of a host's port or of an interface; undefined where the name isn't one. One virtual host, or
 * none where host or interface are unknown: then calls fail at once.
 */
export function routeConfigurationFor(
  reader: MeshReader,
  _audience: Audience,
  name: string,
): RouteConfiguration | undefined {
  const parsed = parseRouteName(name);
  if (parsed === undefined) return undefined;
  const virtualHost =
    parsed.direction === "interface"
      ? interfaceVirtualHost(reader, parsed.host)
      : hostVirtualHost(reader, parsed.host, parsed.port);
  return message(RouteConfiguration, { name, virtualHosts: virtualHost === undefined ? [] : [virtualHost] });
}

function hostVirtualHost(reader: MeshReader, host: string, port: number): VirtualHost | undefined {
  const known = reader.host(host);
  if (known === undefined) return undefined;
  if (known.service !== undefined && !known.service.ports.some((candidate) => candidate.port === port))
    return undefined;
  const clusterOf: ClusterOf = (destination) =>
    clusterName(destination.host, destinationPort(reader, destination, port), destination.subset);
  return message(VirtualHost, {
    name: `${host}:${port}`,
    domains: domainsOf(host, port, reader.settings),
    routes: routesOf(reader, host, clusterName(host, port), clusterOf),
  });
}

/**
 * An interface takes the routes of the one host behind which it is exported; where there are several, all exporters alike.
 * Its only domain is `*`: an interface's name is compared by case in some languages.
 */
function interfaceVirtualHost(reader: MeshReader, name: string): VirtualHost | undefined {
  const exports = reader.interface(name);
  if (exports === undefined) return undefined;
  const host = soleHost(exports);
  const port = exports.hostPorts[0]?.port ?? 0;
  // Within the host a route's calls stay with the exporters; a route that leaves it for another host leads there as written.
  const clusterOf: ClusterOf = (destination) =>
    destination.host === host
      ? interfaceClusterName(name, destination.subset)
      : clusterName(destination.host, destinationPort(reader, destination, port), destination.subset);
  const everyone = interfaceClusterName(name);
  return message(VirtualHost, {
    name,
    domains: ["*"],
    routes: host === undefined ? [defaultRoute(everyone)] : routesOf(reader, host, everyone, clusterOf),
  });
}

function routesOf(reader: MeshReader, host: string, defaultCluster: string, clusterOf: ClusterOf): Route[] {
  const routes = reader.routes(host);
  return routes === undefined ? [defaultRoute(defaultCluster)] : routesFrom(routes.http, clusterOf);
}

function defaultRoute(cluster: string): Route {
  return message(Route, {
    name: "default",
    match: message(RouteMatch, { pathSpecifier: { $case: "prefix", value: "/" } }),
    action: { $case: "route", value: routeTo(new Map([[cluster, 1]])) },
  });
}

/** As in Istio: the port written, the destination's only one, or else the one that was dialled. */
function destinationPort(reader: MeshReader, destination: RouteDestination, dialled: number): number {
  if (destination.port !== undefined) return destination.port;
  const ports = reader.host(destination.host)?.service?.ports ?? [];
  if (ports.length !== 1 && ports.some(({ port }) => port === dialled)) return dialled;
  return onlyPort(ports) ?? dialled;
}

/** Every form in which clients of any namespace can have dialled the host, with and without the port. */
function domainsOf(host: string, port: number, settings: MeshSettings): string[] {
  const parts = parseServiceHost(host, settings);
  const short =
    parts === undefined
      ? []
      : [`${parts.service}.${parts.namespace}.svc`, `${parts.service}.${parts.namespace}`, parts.service];
  const forms = [host, `${host}.`, ...short];
  return port === 0 ? forms : forms.flatMap((form) => [form, `${form}:${port}`]);
}
