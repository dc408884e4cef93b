import { isIP } from "node:net";
import type { Address } from "@weft/xds-api/envoy/config/core/v3/address";
import type { Locality } from "@weft/xds-api/envoy/config/core/v3/base";
import { HealthStatus } from "@weft/xds-api/envoy/config/core/v3/health_check";
import type { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import type { LbEndpoint, LocalityLbEndpoints } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint_components";
import { invalid, quoted, within } from "./invalid-resource.ts";

/** One instance: its first address is the preferred one, the others lead to the same instance (gRFC A61). */
export interface EndpointConfig {
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  readonly weight: number;
}

export interface LocalityConfig {
  readonly region: string;
  readonly zone: string;
  readonly subZone: string;
  readonly weight: number;
  /** Those that may take calls: HEALTHY and UNKNOWN. */
  readonly endpoints: readonly EndpointConfig[];
}

/** What a client reads from a ClusterLoadAssignment (gRFC A27): localities by priority, 0 first, without gaps. */
export interface LoadAssignment {
  readonly priorities: readonly (readonly LocalityConfig[])[];
}

const largestSum = 0xffffffff;
/** As Envoy's own validation has it; also keeps a hostile number from becoming a long loop. */
const largestPriority = 128;

/** A ClusterLoadAssignment as data. Localities of weight 0 are left out, as Envoy does. */
export function parseLoadAssignment(assignment: ClusterLoadAssignment): LoadAssignment {
  const priorities: LocalityConfig[][] = [];
  const addresses = new Set<string>();
  const localities = new Set<string>();
  const weights: number[] = [];
  for (const group of assignment.endpoints) {
    const weight = group.loadBalancingWeight ?? 0;
    if (weight === 0) continue;
    const locality = group.locality ?? invalid("a group of endpoints without a locality");
    within(`locality ${localityName(locality)}`, () => {
      const priority = group.priority;
      if (priority > largestPriority) invalid(`priority ${priority} is above ${largestPriority}`);
      const key = JSON.stringify([priority, locality.region, locality.zone, locality.subZone]);
      if (localities.has(key)) invalid(`twice in priority ${priority}`);
      localities.add(key);
      weights[priority] = (weights[priority] ?? 0) + weight;
      if (weights[priority] > largestSum) invalid(`the weights of priority ${priority} add up to more than 2^32-1`);
      const { region, zone, subZone } = locality;
      const parsed = { region, zone, subZone, weight, endpoints: parseEndpoints(group, addresses) };
      priorities[priority] = [...(priorities[priority] ?? []), parsed];
    });
  }
  for (let priority = 0; priority < priorities.length; priority++) {
    if (priorities[priority] === undefined) invalid(`priority ${priority} is missing below ${priorities.length - 1}`);
  }
  return { priorities };
}

function localityName({ region, zone, subZone }: Locality): string {
  return quoted([region, zone, subZone].filter((part) => part !== "").join("/"));
}

function parseEndpoints(group: LocalityLbEndpoints, seen: Set<string>): EndpointConfig[] {
  const endpoints: EndpointConfig[] = [];
  let total = 0;
  for (const endpoint of group.lbEndpoints) {
    const parsed = parseEndpoint(endpoint, seen);
    total += parsed.weight;
    if (total > largestSum) invalid("the weights of its endpoints add up to more than 2^32-1");
    const { healthStatus } = endpoint;
    if (healthStatus === HealthStatus.UNKNOWN || healthStatus === HealthStatus.HEALTHY) endpoints.push(parsed);
  }
  return endpoints;
}

function parseEndpoint(endpoint: LbEndpoint, seen: Set<string>): EndpointConfig {
  if (endpoint.hostIdentifier?.$case !== "endpoint") return invalid("an endpoint without an address");
  const { address, additionalAddresses } = endpoint.hostIdentifier.value;
  const weight = endpoint.loadBalancingWeight ?? 1;
  if (weight === 0) invalid("an endpoint of weight 0");
  const addresses = [address, ...additionalAddresses.map((more) => more.address)].map((one) => {
    const parsed = parseAddress(one);
    const text = `${parsed.host}|${parsed.port}`;
    if (seen.has(text)) invalid(`address ${parsed.host} port ${parsed.port} twice`);
    seen.add(text);
    return parsed;
  });
  return { addresses, weight };
}

function parseAddress(address: Address | undefined): { host: string; port: number } {
  const socket = address?.address;
  if (socket?.$case !== "socketAddress") return invalid("an endpoint without a socket_address");
  const { address: host, portSpecifier } = socket.value;
  if (isIP(host) === 0) invalid(`endpoint ${quoted(host)} is not an IP address`);
  if (portSpecifier?.$case !== "portValue") return invalid(`endpoint ${quoted(host)} without a port number`);
  if (portSpecifier.value < 1 || portSpecifier.value > 65535) invalid(`endpoint port ${portSpecifier.value}`);
  return { host, port: portSpecifier.value };
}
