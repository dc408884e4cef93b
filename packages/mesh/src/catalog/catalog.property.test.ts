import {
  clusterName,
  inboundListenerName,
  interfaceClusterName,
  routeName,
  type TypeUrl,
  typeUrls,
} from "@weft/xds-api";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseDocuments } from "../model/parse.ts";
import { createSnapshot, type MeshSnapshot } from "../model/snapshot.ts";
import type { Workload } from "../model/workload.ts";
import type { Audience } from "../translate/audience.ts";
import { Catalog } from "./catalog.ts";
import { meshTranslators } from "./mesh-translators.ts";

const hosts = ["a", "b"].map((name) => `${name}.shop.svc.cluster.local`);
const interfaceName = "greet.v1.Greeter";
const audience: Audience = {
  namespace: "shop",
  nodeId: "node 0",
  spiffeId: "spiffe://cluster.local/ns/shop/sa/app",
  trustDomain: "cluster.local",
  userAgent: "gRPC Test",
};

/** Every name that a client of this small mesh may ever ask for. */
const clusters = [
  ...hosts.flatMap((host) => ["", "v1", "v2"].map((subset) => clusterName(host, 7070, subset))),
  interfaceClusterName(interfaceName),
];
const names: readonly (readonly [TypeUrl, string])[] = [
  ...["a:7070", "b.shop:7070", "a", interfaceName, inboundListenerName("0.0.0.0:9000"), ...hosts].map(
    (name) => [typeUrls.listener, name] as const,
  ),
  ...hosts.map((host) => [typeUrls.routeConfiguration, routeName(host, 7070)] as const),
  [typeUrls.routeConfiguration, interfaceClusterName(interfaceName)],
  ...clusters.flatMap((name) => [[typeUrls.cluster, name] as const, [typeUrls.clusterLoadAssignment, name] as const]),
];

interface MeshPlan {
  readonly services: readonly string[];
  readonly rule: "none" | "v1 and v2" | "mutual";
  readonly routes: "none" | "to b" | "split";
  readonly isStrict: boolean;
  readonly workloads: readonly { readonly app: string; readonly version: string; readonly isServing: boolean }[];
}

const plans: fc.Arbitrary<MeshPlan> = fc.record({
  services: fc.subarray(["a", "b"]),
  rule: fc.constantFrom("none", "v1 and v2", "mutual"),
  routes: fc.constantFrom("none", "to b", "split"),
  isStrict: fc.boolean(),
  workloads: fc.array(
    fc.record({ app: fc.constantFrom("a", "b"), version: fc.constantFrom("v1", "v2"), isServing: fc.boolean() }),
    { maxLength: 3 },
  ),
});

function meshOf(plan: MeshPlan): MeshSnapshot {
  const { resources, diagnostics } = parseDocuments(documentsOf(plan).join("\n---\n"), "mesh.yaml", {
    defaultNamespace: "shop",
  });
  expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  return createSnapshot({ resources, workloads: plan.workloads.map(workload) });
}

function documentsOf({ services, rule, routes, isStrict }: MeshPlan): string[] {
  const documents = services.map(
    (name) =>
      `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\n` +
      `spec: {selector: {app: ${name}}, ports: [{name: grpc, port: 7070, targetPort: grpc}]}`,
  );
  const policy = rule === "mutual" ? ", trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}" : "";
  const subsets = ["v1", "v2"].map((version) => `{name: ${version}, labels: {version: ${version}}}`).join(", ");
  if (rule !== "none") {
    documents.push(
      "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: shop}\n" +
        `spec: {host: a, subsets: [${subsets}]${policy}}`,
    );
  }
  const destinations =
    routes === "to b"
      ? "{destination: {host: b}}"
      : "{destination: {host: a, subset: v1}, weight: 20}, {destination: {host: a, subset: v2}, weight: 80}";
  if (routes !== "none") {
    documents.push(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a, namespace: shop}\n" +
        `spec: {hosts: [a], http: [{route: [${destinations}]}]}`,
    );
  }
  if (isStrict) {
    documents.push(
      "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\n" +
        "spec: {mtls: {mode: STRICT}}",
    );
  }
  return documents;
}

function workload({ app, version, isServing }: MeshPlan["workloads"][number], at: number): Workload {
  return {
    uid: `uid ${at}`,
    nodeId: `node ${at}`,
    namespace: "shop",
    serviceAccount: "app",
    spiffeId: "spiffe://cluster.local/ns/shop/sa/app",
    labels: { app, version },
    address: `10.0.0.${at + 1}`,
    displayName: app,
    incarnation: "1",
    state: "LIVE",
    listeners: [
      {
        portName: "grpc",
        port: 9000,
        boundAddress: "0.0.0.0:9000",
        state: isServing ? "SERVING" : "STARTING",
        interfaces: app === "a" ? [interfaceName] : [],
      },
    ],
  };
}

function served(catalog: Catalog<Audience>, view: ReturnType<Catalog<Audience>["watch"]>): Record<string, string> {
  const late = new Set(catalog.unanswerable().map(({ typeUrl, name }) => `${typeUrl} ${name}`));
  const found = names.map(([typeUrl, name]) => [`${typeUrl} ${name}`, view.get(typeUrl, name)?.hash ?? "nothing"]);
  return Object.fromEntries(found.filter(([key = ""]) => !late.has(key)));
}

test("after any changes a catalog serves what one that starts now would serve, and announced all that differs", () => {
  fc.assert(
    fc.property(fc.array(plans, { minLength: 1, maxLength: 8, size: "max" }), (history) => {
      const catalog = new Catalog(createSnapshot({ resources: [], workloads: [] }), meshTranslators);
      const announced = new Set<string>();
      const view = catalog.watch(audience, (typeUrl, name) => announced.add(`${typeUrl} ${name}`));
      for (const [typeUrl, name] of names) view.subscribe(typeUrl, name);
      for (const plan of history) {
        const before = served(catalog, view);
        announced.clear();
        catalog.update(meshOf(plan));
        const after = served(catalog, view);
        const different = Object.keys(after).filter((key) => before[key] !== undefined && before[key] !== after[key]);
        expect(different.filter((key) => !announced.has(key))).toEqual([]);

        const fresh = new Catalog(meshOf(plan), meshTranslators);
        const freshView = fresh.watch(audience, () => undefined);
        for (const [typeUrl, name] of names) freshView.subscribe(typeUrl, name);
        expect(after).toEqual(served(fresh, freshView));
      }
      view.close();
      expect(catalog.size).toBe(0);
    }),
    { numRuns: 60 },
  );
});
