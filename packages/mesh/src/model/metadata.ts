import { z } from "zod";
import { isDnsLabel, isDnsName, isLabelKey, isLabelValue } from "./names.ts";
import { formatPath, type Report } from "./report.ts";
import type { FieldPath } from "./yaml-text.ts";

/** metadata as Kubernetes writes it; what its API server adds is taken and means nothing here. */
export const metadataSchema = z.strictObject({
  name: z.string(),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  creationTimestamp: z.string().nullable().optional(),
  uid: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  generation: z.unknown().optional(),
  selfLink: z.unknown().optional(),
  managedFields: z.unknown().optional(),
  ownerReferences: z.unknown().optional(),
  finalizers: z.unknown().optional(),
});

/** metadata as it was written. */
export type Metadata = z.infer<typeof metadataSchema>;

/** Labels by key, or a selector. */
export const labelsSchema = z.record(z.string(), z.string());

/** Reports names and labels that Kubernetes would not take. */
export function checkMetadata(metadata: Metadata, isService: boolean, report: Report): void {
  const { name, namespace, labels, creationTimestamp } = metadata;
  if (isService ? !isDnsLabel(name) : !isDnsName(name)) {
    const form = isService ? "a DNS label" : "DNS labels joined by dots";
    const message = `metadata.name ${JSON.stringify(name.slice(0, 80))} is not ${form}`;
    report({ severity: "error", code: "WEFT0013", message, path: ["metadata", "name"], hint: lowerCaseHint });
  }
  if (namespace !== undefined && !isDnsLabel(namespace)) {
    const message = `metadata.namespace ${JSON.stringify(namespace.slice(0, 80))} is not a DNS label`;
    report({ severity: "error", code: "WEFT0013", message, path: ["metadata", "namespace"], hint: lowerCaseHint });
  }
  if (labels !== undefined) checkLabels(labels, ["metadata", "labels"], report);
  if (creationTimestamp && Number.isNaN(Date.parse(creationTimestamp))) {
    const message = "metadata.creationTimestamp is not a time";
    report({ severity: "error", code: "WEFT0012", message, path: ["metadata", "creationTimestamp"] });
  }
}

const lowerCaseHint = "lower-case letters, digits and hyphens, at most 63 characters a label";

/** Reports label keys and values that Kubernetes would not take, so that nothing could ever carry them. */
export function checkLabels(labels: Readonly<Record<string, string>>, path: FieldPath, report: Report): void {
  for (const [key, value] of Object.entries(labels)) {
    if (isLabelKey(key) && isLabelValue(value)) continue;
    const what = isLabelKey(key) ? `the value ${JSON.stringify(value.slice(0, 80))}` : "the key";
    const message = `${formatPath([...path, key])}: ${what} is not a label's`;
    report({ severity: "error", code: "WEFT0013", message, path: [...path, key] });
  }
}
