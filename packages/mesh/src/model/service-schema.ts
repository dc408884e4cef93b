import { z } from "zod";
import { checkLabels, labelsSchema } from "./metadata.ts";
import { isDnsLabel } from "./names.ts";
import type { Report } from "./report.ts";
import type { ServicePort, ServiceSpec } from "./resource.ts";

const portNumber = z.int().min(1).max(65535);

const portSchema = z.strictObject({
  name: z.string().optional(),
  port: portNumber,
  targetPort: z.union([portNumber, z.string().min(1)]).optional(),
  protocol: z.enum(["TCP", "UDP", "SCTP"]).optional(),
  appProtocol: z.string().optional(),
});

/** spec of a Service. Addresses of its own mean nothing here: clients get the endpoints. */
export const serviceSchema = z.strictObject({
  selector: labelsSchema.optional(),
  ports: z.array(portSchema).min(1),
  type: z.enum(["ClusterIP", "NodePort", "LoadBalancer"]).optional(),
  clusterIP: z.string().optional(),
  clusterIPs: z.array(z.string()).optional(),
  ipFamilies: z.array(z.string()).optional(),
  ipFamilyPolicy: z.string().optional(),
  sessionAffinity: z.literal("None").optional(),
  internalTrafficPolicy: z.literal("Cluster").optional(),
});

/** The domain value; reports what the shape alone can't tell. */
export function serviceSpecOf(written: z.infer<typeof serviceSchema>, report: Report): ServiceSpec {
  const { selector, ports } = written;
  if (selector !== undefined) checkLabels(selector, ["spec", "selector"], report);
  if (selector === undefined || Object.keys(selector).length === 0) {
    const message = "the Service has no selector, so no workload stands behind it";
    report({ severity: "warning", code: "WEFT0042", message, path: ["spec"] });
  }
  const names = new Set<string>();
  const numbers = new Set<string>();
  for (const [index, { name, port, protocol = "TCP" }] of ports.entries()) {
    const path = ["spec", "ports", index];
    if (name === undefined && ports.length > 1) {
      const message = `spec.ports[${index}].name is missing: of several ports each has a name`;
      report({ severity: "error", code: "WEFT0011", message, path });
    }
    if (name !== undefined && !isDnsLabel(name)) {
      const message = `spec.ports[${index}].name ${JSON.stringify(name.slice(0, 80))} is not a DNS label`;
      report({ severity: "error", code: "WEFT0013", message, path: [...path, "name"] });
    }
    if (name !== undefined && names.has(name)) {
      const message = `spec.ports[${index}].name: another port is named ${name} too`;
      report({ severity: "error", code: "WEFT0016", message, path: [...path, "name"] });
    }
    if (numbers.has(`${protocol}/${port}`)) {
      const message = `spec.ports[${index}].port: ${protocol} port ${port} is there twice`;
      report({ severity: "error", code: "WEFT0016", message, path: [...path, "port"] });
    }
    if (name !== undefined) names.add(name);
    numbers.add(`${protocol}/${port}`);
  }
  // An empty selector selects nothing in Kubernetes, unlike an empty selector of a policy.
  const selects = selector !== undefined && Object.keys(selector).length > 0 ? { selector } : {};
  return { ...selects, ports: ports.map(portOf) };
}

function portOf(written: z.infer<typeof portSchema>): ServicePort {
  const { name = "", port, targetPort = port, protocol = "TCP", appProtocol } = written;
  return { name, port, targetPort, protocol, ...(appProtocol === undefined ? {} : { appProtocol }) };
}
