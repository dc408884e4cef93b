// What Kubernetes and Istio know and Weft does not honour, per kind: one table, so that a field is either in a schema, or
// here with what it means to its author, or unknown. A field whose absence would change what the rest of the document
// means (a match would match more, encryption would differ) is refused; one that only adds something is a warning.

import { formatPath, type Report } from "./report.ts";
import type { ResourceKind } from "./resource.ts";
import type { FieldPath } from "./yaml-text.ts";

interface UnsupportedField {
  /** Keys joined by dots; `*` is any key or index. */
  readonly path: string;
  /** `refused`: an error; `ineffective`: a warning. */
  readonly effect: "refused" | "ineffective";
  /** Only these values; without it every value. */
  readonly values?: readonly string[];
  readonly hint?: string;
}

function ineffective(prefix: string, fields: string, hint?: string): UnsupportedField[] {
  return fields.split(" ").map((field) => describe("ineffective", prefix, field, hint));
}

function refused(prefix: string, fields: string, hint?: string): UnsupportedField[] {
  return fields.split(" ").map((field) => describe("refused", prefix, field, hint));
}

function describe(
  effect: UnsupportedField["effect"],
  prefix: string,
  field: string,
  hint: string | undefined,
): UnsupportedField {
  return { path: `${prefix}.${field}`, effect, ...(hint === undefined ? {} : { hint }) };
}

const gatewayHint = "Weft has no gateways yet: leave it out, or write mesh";
const exportHint = 'rules are visible in the whole mesh: leave it out, or write "*"';
const tlsHint = "use ISTIO_MUTUAL: identities and certificates then come from the mesh";

function trafficPolicyFields(prefix: string): UnsupportedField[] {
  return [
    ...ineffective(prefix, "connectionPool outlierDetection retryBudget"),
    ...refused(prefix, "portLevelSettings tunnel proxyProtocol"),
    ...refused(`${prefix}.loadBalancer`, "consistentHash", "use simple: ROUND_ROBIN"),
    ...ineffective(`${prefix}.loadBalancer`, "localityLbSetting warmup warmupDurationSecs"),
    {
      path: `${prefix}.loadBalancer.simple`,
      effect: "refused",
      values: ["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "PASSTHROUGH"],
      hint: "use ROUND_ROBIN",
    },
    { path: `${prefix}.tls.mode`, effect: "refused", values: ["SIMPLE", "MUTUAL"], hint: tlsHint },
    ...refused(
      `${prefix}.tls`,
      "clientCertificate privateKey caCertificates credentialName caCrl subjectAltNames sni insecureSkipVerify",
      tlsHint,
    ),
  ];
}

const table: Readonly<Record<ResourceKind, readonly UnsupportedField[]>> = {
  Service: [
    {
      path: "spec.type",
      effect: "refused",
      values: ["ExternalName"],
      hint: "name the outside host in the application",
    },
    ...refused("spec", "externalName"),
    ...ineffective(
      "spec",
      "sessionAffinityConfig publishNotReadyAddresses externalIPs loadBalancerIP loadBalancerSourceRanges loadBalancerClass",
    ),
    ...ineffective(
      "spec",
      "allocateLoadBalancerNodePorts externalTrafficPolicy healthCheckNodePort trafficDistribution",
    ),
    { path: "spec.sessionAffinity", effect: "ineffective", values: ["ClientIP"] },
    { path: "spec.internalTrafficPolicy", effect: "ineffective", values: ["Local"] },
    ...ineffective("spec.ports.*", "nodePort"),
  ],
  DestinationRule: [
    ...refused("spec", "workloadSelector"),
    ...refused("spec", "exportTo", exportHint),
    ...trafficPolicyFields("spec.trafficPolicy"),
    ...trafficPolicyFields("spec.subsets.*.trafficPolicy"),
  ],
  VirtualService: [
    ...refused("spec", "gateways", gatewayHint),
    ...refused("spec", "exportTo", exportHint),
    ...ineffective("spec", "tcp tls"),
    ...refused("spec.http.*", "redirect directResponse delegate"),
    ...ineffective("spec.http.*", "timeout retries fault mirror mirrors mirrorPercent mirror_percent mirrorPercentage"),
    ...ineffective("spec.http.*", "rewrite corsPolicy headers"),
    ...ineffective("spec.http.*.route.*", "headers"),
    ...refused("spec.http.*.match.*", "scheme method authority port queryParams ignoreUriCase withoutHeaders"),
    ...refused("spec.http.*.match.*", "sourceLabels sourceNamespace"),
    ...refused("spec.http.*.match.*", "gateways", gatewayHint),
    ...ineffective("spec.http.*.match.*", "statPrefix"),
  ],
  PeerAuthentication: [
    {
      path: "spec.mtls.mode",
      effect: "refused",
      values: ["PERMISSIVE"],
      hint: "use DISABLE until every client speaks mTLS, then STRICT",
    },
    {
      path: "spec.portLevelMtls.*.mode",
      effect: "refused",
      values: ["PERMISSIVE"],
      hint: "use DISABLE until every client speaks mTLS, then STRICT",
    },
  ],
};

/** Values that say what Weft does anyway, so that their field is as good as absent. */
const harmless: Readonly<Record<string, string>> = {
  "spec.gateways": '["mesh"]',
  "spec.http.*.match.*.gateways": '["mesh"]',
  "spec.exportTo": '["*"]',
  "spec.http.*.match.*.ignoreUriCase": "false",
};

/** Reports the fields of `value` that Weft does not honour and takes them out, so that the schema sees only the rest. */
export function takeOutUnsupported(kind: ResourceKind, value: unknown, report: Report): void {
  for (const field of table[kind]) {
    const segments = field.path.split(".");
    visit(value, segments, [], (owner, key, path) => {
      const found = owner[key];
      if (field.values !== undefined && !(typeof found === "string" && field.values.includes(found))) return;
      Reflect.deleteProperty(owner, key);
      if (harmless[field.path] === JSON.stringify(found)) return;
      report(findingFor(field, path, found));
    });
  }
}

function findingFor(field: UnsupportedField, path: FieldPath, found: unknown): Parameters<Report>[0] {
  const name = formatPath(path);
  const { hint } = field;
  if (field.effect === "ineffective") {
    const what = field.values === undefined ? name : `${name}: ${String(found)}`;
    return {
      severity: "warning",
      code: "WEFT0042",
      message: `${what} has no effect for gRPC clients yet`,
      path,
      hint,
      atKey: true,
    };
  }
  if (field.values !== undefined) {
    return {
      severity: "error",
      code: "WEFT0040",
      message: `${name}: ${String(found)} is not supported yet`,
      path,
      hint,
    };
  }
  return {
    severity: "error",
    code: "WEFT0041",
    message: `${name} is not honoured yet, and without it the rest would mean something else`,
    path,
    hint,
    atKey: true,
  };
}

function visit(
  value: unknown,
  segments: readonly string[],
  path: FieldPath,
  found: (owner: Record<string, unknown>, key: string, path: FieldPath) => void,
): void {
  const [segment, ...rest] = segments;
  if (segment === undefined || typeof value !== "object" || value === null) return;
  if (segment === "*") {
    const entries: [string | number, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
    for (const [key, item] of entries) visit(item, rest, [...path, key], found);
  } else if (!Array.isArray(value) && Object.hasOwn(value, segment)) {
    const owner = value as Record<string, unknown>;
    if (rest.length === 0) found(owner, segment, [...path, segment]);
    else visit(owner[segment], rest, [...path, segment], found);
  }
}
