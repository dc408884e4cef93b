import type { HostRule } from "./mesh-reader.ts";
import type { DestinationRuleResource, Subset, TrafficPolicy } from "./resource.ts";

/**
 * What several DestinationRules of one host say together: subsets united by name, of two with one name the first;
 * trafficPolicy from the first rule that has one.
 */
export function mergeRules(rules: readonly DestinationRuleResource[]): HostRule {
  const subsets = new Map<string, Subset>();
  for (const { spec } of rules) {
    for (const subset of spec.subsets) if (!subsets.has(subset.name)) subsets.set(subset.name, subset);
  }
  const trafficPolicy = rules.find(({ spec }) => spec.trafficPolicy !== undefined)?.spec.trafficPolicy ?? {};
  return { subsets: [...subsets.values()].sort((a, b) => (a.name < b.name ? -1 : 1)), trafficPolicy };
}

/** What holds for a subset (or for the host itself): the subset's own policy wins part by part. */
export function effectivePolicy(rule: HostRule | undefined, subset: Subset | undefined): Required<TrafficPolicy> {
  return { loadBalancer: "ROUND_ROBIN", tlsMode: "DISABLE", ...rule?.trafficPolicy, ...subset?.trafficPolicy };
}
