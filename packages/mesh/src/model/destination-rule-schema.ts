import { z } from "zod";
import { checkHost } from "./host-field.ts";
import { checkLabels, labelsSchema } from "./metadata.ts";
import { isDnsLabel } from "./names.ts";
import type { Report } from "./report.ts";
import type { DestinationRuleSpec, Subset, TrafficPolicy } from "./resource.ts";

const trafficPolicySchema = z.strictObject({
  loadBalancer: z.strictObject({ simple: z.literal("ROUND_ROBIN").optional() }).optional(),
  tls: z.strictObject({ mode: z.enum(["DISABLE", "ISTIO_MUTUAL"]).optional() }).optional(),
});

const subsetSchema = z.strictObject({
  name: z.string(),
  labels: labelsSchema.optional(),
  trafficPolicy: trafficPolicySchema.optional(),
});

/** spec of a DestinationRule. */
export const destinationRuleSchema = z.strictObject({
  host: z.string(),
  subsets: z.array(subsetSchema).optional(),
  trafficPolicy: trafficPolicySchema.optional(),
});

/** The domain value; reports what the shape alone can't tell. */
export function destinationRuleSpecOf(
  written: z.infer<typeof destinationRuleSchema>,
  report: Report,
): DestinationRuleSpec {
  checkHost(written.host, ["spec", "host"], report);
  const names = new Set<string>();
  const subsets = (written.subsets ?? []).map((subset, index): Subset => {
    const path = ["spec", "subsets", index, "name"];
    if (!isDnsLabel(subset.name)) {
      const message = `spec.subsets[${index}].name ${JSON.stringify(subset.name.slice(0, 80))} is not a DNS label`;
      report({ severity: "error", code: "WEFT0013", message, path });
    }
    if (names.has(subset.name)) {
      const message = `spec.subsets[${index}].name: the subset ${subset.name} is there twice`;
      report({ severity: "error", code: "WEFT0016", message, path });
    }
    names.add(subset.name);
    const { name, labels = {}, trafficPolicy } = subset;
    checkLabels(labels, ["spec", "subsets", index, "labels"], report);
    return { name, labels, ...(trafficPolicy === undefined ? {} : { trafficPolicy: policyOf(trafficPolicy) }) };
  });
  const { host, trafficPolicy } = written;
  return { host, subsets, ...(trafficPolicy === undefined ? {} : { trafficPolicy: policyOf(trafficPolicy) }) };
}

function policyOf({ loadBalancer, tls }: z.infer<typeof trafficPolicySchema>): TrafficPolicy {
  return {
    ...(loadBalancer?.simple === undefined ? {} : { loadBalancer: loadBalancer.simple }),
    // tls without a mode is DISABLE, the first value of Istio's enum.
    ...(tls === undefined ? {} : { tlsMode: tls.mode ?? "DISABLE" }),
  };
}
