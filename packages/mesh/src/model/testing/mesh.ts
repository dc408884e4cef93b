import { syntheticOrigin } from "../origin.ts";
import { parseDocuments } from "../parse.ts";
import type {
  DestinationRuleResource,
  DestinationRuleSpec,
  PeerAuthenticationResource,
  PeerAuthenticationSpec,
  Resource,
  ServiceResource,
  VirtualServiceResource,
  VirtualServiceSpec,
} from "../resource.ts";
import { createSnapshot, type MeshSnapshot } from "../snapshot.ts";
import type { Workload, WorkloadListener } from "../workload.ts";

const metadata = { apiVersion: "test", namespace: "shop", labels: {}, createdAtMs: 0, origin: syntheticOrigin("test") };

/** Service `name` in `shop`: port 7070 named grpc to 17070, selecting `app: <name>`. */
export function service(name: string, overrides: Partial<ServiceResource> = {}): ServiceResource {
  const ports = [{ name: "grpc", port: 7070, targetPort: 17070, protocol: "TCP" }] as const;
  return { ...metadata, kind: "Service", name, spec: { selector: { app: name }, ports }, ...overrides };
}

/** A VirtualService in `shop` named after its first host. */
export function virtualService(
  spec: VirtualServiceSpec,
  overrides: Partial<VirtualServiceResource> = {},
): VirtualServiceResource {
  return { ...metadata, kind: "VirtualService", name: spec.hosts[0] ?? "", spec, ...overrides };
}

/** A VirtualService of `host` that sends every call to these subsets by weight. */
export function splitBetween(
  host: string,
  weights: Readonly<Record<string, number>>,
  overrides: Partial<VirtualServiceResource> = {},
): VirtualServiceResource {
  const destinations = Object.entries(weights).map(([subset, weight]) => ({ host, subset, weight }));
  return virtualService({ hosts: [host], http: [{ matches: [], destinations }] }, overrides);
}

/** A DestinationRule in `shop` named after its host. */
export function destinationRule(
  spec: Partial<DestinationRuleSpec> & { readonly host: string },
  overrides: Partial<DestinationRuleResource> = {},
): DestinationRuleResource {
  return { ...metadata, kind: "DestinationRule", name: spec.host, spec: { subsets: [], ...spec }, ...overrides };
}

/** A PeerAuthentication in `shop`. */
export function peerAuthentication(
  spec: Partial<PeerAuthenticationSpec>,
  overrides: Partial<PeerAuthenticationResource> = {},
): PeerAuthenticationResource {
  const full = { mode: "UNSET", portModes: {}, ...spec } as const;
  return { ...metadata, kind: "PeerAuthentication", name: "peers", spec: full, ...overrides };
}

/** A listener named grpc on 17070 that serves. */
export function listener(overrides: Partial<WorkloadListener> = {}): WorkloadListener {
  const port = overrides.port ?? 17070;
  return { portName: "grpc", port, boundAddress: `0.0.0.0:${port}`, state: "SERVING", interfaces: [], ...overrides };
}

/** A live workload of `shop` with one listener, labelled and named after `uid`'s part before the hyphen. */
export function workload(uid: string, overrides: Partial<Workload> = {}): Workload {
  const [app = uid] = uid.split("-");
  const namespace = overrides.namespace ?? "shop";
  const serviceAccount = overrides.serviceAccount ?? app;
  return {
    uid,
    nodeId: `node-${uid}`,
    namespace,
    serviceAccount,
    spiffeId: `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`,
    labels: { app },
    address: "10.0.0.1",
    displayName: uid,
    incarnation: "1",
    state: "LIVE",
    listeners: [listener()],
    ...overrides,
  };
}

/** A snapshot of these resources and workloads, told apart by their shape. */
export function snapshot(...contents: readonly (Resource | Workload)[]): MeshSnapshot {
  const resources = contents.filter((item) => "kind" in item);
  const workloads = contents.filter((item) => "uid" in item);
  return createSnapshot({ resources, workloads });
}

/** The resources of a text that has nothing wrong with it. */
export function resourcesOf(text: string, file = "test.yaml"): readonly Resource[] {
  const { resources, diagnostics } = parseDocuments(text, file, { defaultNamespace: "shop" });
  const errors = diagnostics.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new Error(JSON.stringify(errors, undefined, 2));
  return resources;
}
