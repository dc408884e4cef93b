import { nearest } from "./nearest.ts";
import type { Report } from "./report.ts";
import { type ResourceKind, resourceKinds } from "./resource.ts";

const networking = ["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];
const security = ["security.istio.io/v1", "security.istio.io/v1beta1"];

const apiVersions: Readonly<Record<ResourceKind, readonly string[]>> = {
  Service: ["v1"],
  DestinationRule: networking,
  VirtualService: networking,
  PeerAuthentication: security,
};

/** Kinds that forbid, prove or change something: without them calls would pass that their author wanted stopped. */
const securityKinds: Readonly<Record<string, string>> = {
  "security.istio.io/AuthorizationPolicy":
    "Weft does not enforce authorization yet: check in the application, and remove it here",
  "security.istio.io/RequestAuthentication":
    "Weft does not check request tokens yet: check in the application, and remove it here",
  "networking.istio.io/EnvoyFilter": "there is no Envoy in a proxyless mesh: remove it",
  "extensions.istio.io/WasmPlugin": "there is no Envoy in a proxyless mesh: remove it",
  "networking.k8s.io/NetworkPolicy": "the cluster's network enforces it, not the mesh: apply it there",
};

const plannedKinds: ReadonlySet<string> = new Set([
  ...["Gateway", "ServiceEntry", "Sidecar", "WorkloadEntry", "WorkloadGroup", "ProxyConfig"].map(
    (kind) => `networking.istio.io/${kind}`,
  ),
  "telemetry.istio.io/Telemetry",
  ...["Gateway", "GatewayClass", "GRPCRoute", "HTTPRoute", "ReferenceGrant", "TCPRoute", "TLSRoute"].map(
    (kind) => `gateway.networking.k8s.io/${kind}`,
  ),
  ...["Endpoints", "Namespace", "Pod", "ServiceAccount"].map((kind) => `/${kind}`),
  "discovery.k8s.io/EndpointSlice",
]);

/** The kind of a document, where Weft takes it in the version given; otherwise reports why not. */
export function findKind(value: unknown, report: Report): ResourceKind | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = "a document must be a map with apiVersion, kind, metadata and spec";
    report({ severity: "error", code: "WEFT0003", message, path: [] });
    return undefined;
  }
  const apiVersion = "apiVersion" in value ? value.apiVersion : undefined;
  const kind = "kind" in value ? value.kind : undefined;
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    const missing = typeof kind === "string" ? "apiVersion" : "kind";
    const message = `a document must say its ${missing}`;
    report({ severity: "error", code: "WEFT0003", message, path: missing in value ? [missing] : [] });
    return undefined;
  }
  const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
  const known = resourceKinds.find((candidate) => candidate === kind && groupOf(candidate) === group);
  if (known === undefined) {
    reportOtherKind(group, kind, report);
    return undefined;
  }
  if (!apiVersions[known].includes(apiVersion)) {
    report({
      severity: "error",
      code: "WEFT0006",
      message: `${known} has no apiVersion ${short(apiVersion)}`,
      path: ["apiVersion"],
      hint: `write ${apiVersions[known][0]}`,
    });
    return undefined;
  }
  return known;
}

function groupOf(kind: ResourceKind): string {
  const [version = ""] = apiVersions[kind];
  return version.includes("/") ? version.slice(0, version.indexOf("/")) : "";
}

function reportOtherKind(group: string, kind: string, report: Report): void {
  const name = `${group}/${kind}`;
  const path = ["kind"];
  const securityHint = Object.hasOwn(securityKinds, name) ? securityKinds[name] : undefined;
  if (securityHint !== undefined) {
    const message = `${kind} is refused: Weft would not enforce it`;
    report({ severity: "error", code: "WEFT0005", message, path, hint: securityHint });
    return;
  }
  if (plannedKinds.has(name)) {
    report({ severity: "error", code: "WEFT0008", message: `${kind} is not supported yet`, path });
    return;
  }
  const near = nearest(kind, resourceKinds);
  const hint =
    near === undefined
      ? `Weft takes ${resourceKinds.join(", ")}`
      : `did you mean ${near} of ${apiVersions[near as ResourceKind][0]}?`;
  const of = group === "" ? "" : ` of ${short(group)}`;
  report({ severity: "error", code: "WEFT0004", message: `the kind ${short(kind)}${of} is unknown`, path, hint });
}

function short(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 79)}…` : text);
}
