import { parseClusterName } from "@weft/xds-api";
import { effectivePolicy } from "../model/host-rule.ts";
import { isInterfaceName, isReservedInterface } from "../model/interface-name.ts";
import type { Endpoint, InterfaceExports, MeshReader } from "../model/mesh-reader.ts";
import { isDnsName } from "../model/names.ts";
import type { Subset, TrafficPolicy } from "../model/resource.ts";
import { selectorMatches } from "../model/workload.ts";

/** What a cluster name leads to: its endpoints in every state, and how they are called. */
export interface Destination {
  readonly endpoints: readonly Endpoint[];
  readonly policy: Required<TrafficPolicy>;
}

/**
 * What stands behind a cluster name; undefined where the name isn't one of ours, or of an interface that nobody exports.
 *
 * A host, port or subset that doesn't exist is a destination without endpoints: whoever is sent there fails at once
 * instead of waiting, and finds it when it appears.
 */
export function destinationOf(reader: MeshReader, clusterName: string): Destination | undefined {
  const name = parseClusterName(clusterName);
  if (name === undefined) return undefined;
  if (name.direction === "interface") {
    const isName = name.port === 0 && isInterfaceName(name.host) && !isReservedInterface(name.host);
    const exports = isName ? reader.interface(name.host) : undefined;
    return exports && interfaceDestination(reader, exports, name.subset);
  }
  if (!isDnsName(name.host)) return undefined;
  const rule = reader.rule(name.host);
  const subset = rule?.subsets.find((candidate) => candidate.name === name.subset);
  const policy = effectivePolicy(rule, subset);
  if (name.subset !== "" && subset === undefined) return { endpoints: [], policy };
  return { endpoints: inSubset(reader.endpoints(name.host, name.port), subset), policy };
}

/**
 * The one host behind which all exporters of an interface stand, whose rules the interface then takes; undefined where
 * there are several, or some stand behind none.
 */
export function soleHost({ hostPorts, hasHostless }: InterfaceExports): string | undefined {
  const hosts = new Set(hostPorts.map(({ host }) => host));
  return hosts.size === 1 && !hasHostless ? hostPorts[0]?.host : undefined;
}

function interfaceDestination(reader: MeshReader, exports: InterfaceExports, subsetName: string): Destination {
  const host = soleHost(exports);
  if (host === undefined) {
    // Several hosts' rules aren't mixed, but encryption never steps down: what one of them asks for holds for the union.
    const hosts = new Set(exports.hostPorts.map((hostPort) => hostPort.host));
    const policies = [...hosts].map((name) => effectivePolicy(reader.rule(name), undefined));
    const isMutual = policies.some(({ tlsMode }) => tlsMode === "ISTIO_MUTUAL");
    const policy = {
      ...effectivePolicy(undefined, undefined),
      tlsMode: isMutual ? "ISTIO_MUTUAL" : "DISABLE",
    } as const;
    return { endpoints: subsetName === "" ? exports.endpoints : [], policy };
  }
  const rule = reader.rule(host);
  const subset = rule?.subsets.find((candidate) => candidate.name === subsetName);
  const policy = effectivePolicy(rule, subset);
  if (subsetName !== "" && subset === undefined) return { endpoints: [], policy };
  return { endpoints: inSubset(exports.endpoints, subset), policy };
}

function inSubset(endpoints: readonly Endpoint[], subset: Subset | undefined): readonly Endpoint[] {
  return subset === undefined ? endpoints : endpoints.filter(({ labels }) => selectorMatches(subset.labels, labels));
}
