import type { Endpoint } from "../balancing/endpoint.ts";
import type { LoadAssignment, LocalityConfig } from "./load-assignment.ts";

/**
 * The endpoints that take calls: those of the first priority that has any (health is the control plane's word; see
 * `parseLoadAssignment`), each with its share of its locality's weight.
 */
export function endpointsInUse(assignment: LoadAssignment): Endpoint[] {
  for (const localities of assignment.priorities) {
    const endpoints = localities.flatMap((locality) => endpointsOfLocality(locality, localities.length > 1));
    if (endpoints.length > 0) return endpoints;
  }
  return [];
}

function endpointsOfLocality(locality: LocalityConfig, isOneOfSeveral: boolean): Endpoint[] {
  const total = locality.endpoints.reduce((sum, { weight }) => sum + weight, 0);
  return locality.endpoints.map(({ addresses, weight }) => ({
    addresses: addresses.map(({ host, port }) => ({ kind: "tcp", host, port }) as const),
    weight: isOneOfSeveral ? (locality.weight * weight) / total : weight,
  }));
}
