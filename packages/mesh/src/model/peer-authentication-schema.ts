import { z } from "zod";
import { checkLabels, labelsSchema } from "./metadata.ts";
import type { Report } from "./report.ts";
import type { MutualTlsMode, PeerAuthenticationSpec } from "./resource.ts";

const mutualTlsSchema = z.strictObject({ mode: z.enum(["UNSET", "DISABLE", "STRICT"]).optional() });

/** spec of a PeerAuthentication. */
export const peerAuthenticationSchema = z.strictObject({
  selector: z.strictObject({ matchLabels: labelsSchema.optional() }).optional(),
  mtls: mutualTlsSchema.optional(),
  portLevelMtls: z.record(z.string(), mutualTlsSchema).optional(),
});

/** The domain value; reports what the shape alone can't tell. */
export function peerAuthenticationSpecOf(
  written: z.infer<typeof peerAuthenticationSchema>,
  report: Report,
): PeerAuthenticationSpec {
  const labels = written.selector?.matchLabels ?? {};
  checkLabels(labels, ["spec", "selector", "matchLabels"], report);
  // An empty selector is none (as in Istio): the policy then holds for the namespace.
  const selector = Object.keys(labels).length > 0 ? labels : undefined;
  const ports = Object.entries(written.portLevelMtls ?? {});
  if (ports.length > 0 && selector === undefined) {
    report({
      severity: "error",
      code: "WEFT0012",
      message: "spec.portLevelMtls needs a selector: ports are those of the selected workloads",
      path: ["spec", "portLevelMtls"],
      atKey: true,
    });
  }
  const portModes: Record<string, MutualTlsMode> = {};
  for (const [port, { mode = "UNSET" }] of ports) {
    if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65535) {
      const path = ["spec", "portLevelMtls", port];
      const message = `spec.portLevelMtls: ${JSON.stringify(port.slice(0, 80))} is not a port`;
      report({ severity: "error", code: "WEFT0012", message, path, atKey: true });
    } else portModes[port] = mode;
  }
  return { ...(selector === undefined ? {} : { selector }), mode: written.mtls?.mode ?? "UNSET", portModes };
}
