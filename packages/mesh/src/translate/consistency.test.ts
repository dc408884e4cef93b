import { isIP } from "node:net";
import { type MessageType, typeUrls, unpack } from "@weft/xds-api";
import { Cluster } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import { UpstreamTlsContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changedKeys } from "../model/changed-keys.ts";
import { RecordingReader } from "../model/recording-reader.ts";
import { createSnapshot, type MeshContents } from "../model/snapshot.ts";
import { anyMesh } from "../model/testing/random-mesh.ts";
import { type Answers, answersFor, audience, managerOf, serverListenersFor } from "./testing/answers.ts";

const dialled = [
  ...[
    "echo",
    "echo:7070",
    "pay:80",
    "echo.other",
    "pay.other.svc:7070",
    "echo.shop.svc.cluster.local.:7070",
    "nobody:1",
  ],
  ...["virtual.example.com", "virtual.example.com:443", "greet.v1.Greeter", "echo.shop", "grpc.health.v1.Health"],
];

describe("whatever the mesh", () => {
  test("every cluster that a route names is answered, with endpoints that every client takes", () => {
    fc.assert(
      fc.property(anyMesh, (contents) => {
        const { listeners, routeConfigurations, clusters, endpoints } = answersFor(
          createSnapshot(contents),
          audience(),
          dialled,
        );
        for (const [name, listener] of Object.entries(listeners)) {
          // Outside of the mesh's domains, unless a VirtualService brings it in.
          if (listener === undefined && name.startsWith("virtual.example.com")) continue;
          expect(listener).toMatchObject({ name, address: undefined, filterChains: [] });
          expect(managerOf(listener)?.httpFilters.map((filter) => filter.name)).toEqual(["envoy.filters.http.router"]);
        }
        for (const [name, routes] of Object.entries(routeConfigurations)) expectValidRoutes(name, routes);
        for (const [name, cluster] of Object.entries(clusters)) {
          expect(cluster).toMatchObject({ name, edsClusterConfig: { serviceName: name } });
          expectIdentities(cluster);
        }
        for (const [name, assignment] of Object.entries(endpoints)) expectValidEndpoints(name, assignment);
      }),
      { numRuns: 500 },
    );
  });

  test("every registered listener gets one filter chain, and nobody else's listener is told", () => {
    fc.assert(
      fc.property(anyMesh, (contents) => {
        const mesh = createSnapshot(contents);
        const own = serverListenersFor(mesh, [...mesh.workloads.byUid.values()]);
        for (const listener of Object.values(own)) expect(listener?.filterChains ?? [{}]).toHaveLength(1);
        const strangers = [...mesh.workloads.byUid.values()].map((item) => ({
          ...item,
          spiffeId: "spiffe://cluster.local/ns/x/sa/x",
        }));
        expect(Object.values(serverListenersFor(mesh, strangers)).every((listener) => listener === undefined)).toBe(
          true,
        );
      }),
      { numRuns: 200 },
    );
  });

  test("equal meshes give equal bytes, whatever the order in which things are listed", () => {
    fc.assert(
      fc.property(distinctMesh, ({ resources, workloads }) => {
        const forwards = createSnapshot({ resources, workloads });
        const backwards = createSnapshot({ resources: resources.toReversed(), workloads: workloads.toReversed() });
        const [one, other] = [forwards, backwards].map((mesh) => encoded(answersFor(mesh, audience(), dialled)));
        expect(one).toEqual(other);
      }),
      { numRuns: 300 },
    );
  });

  test("an answer whose keys did not change is the same bytes in the next mesh", () => {
    fc.assert(
      fc.property(anyMesh, anyMesh, (before, after) => {
        const previous = createSnapshot(before);
        const next = createSnapshot(after);
        const changed = changedKeys(previous, next);
        for (const name of dialled) {
          const reader = new RecordingReader(previous);
          const answer = encoded(answersFor(reader, audience(), [name]));
          if ([...reader.keys].some((key) => changed.has(key))) continue;
          expect(encoded(answersFor(next, audience(), [name]))).toEqual(answer);
        }
      }),
      { numRuns: 300 },
    );
  });
});

/** Without duplicates: of those the last one counts, so their order means something. */
const distinctMesh: fc.Arbitrary<MeshContents> = anyMesh.map((contents) => {
  const { resources, workloads } = createSnapshot(contents);
  return { resources: [...resources.byKey.values()], workloads: [...workloads.byUid.values()] };
});

function expectValidRoutes(name: string, routes: RouteConfiguration | undefined): void {
  expect(routes?.name).toBe(name);
  for (const { domains, routes: entries } of routes?.virtualHosts ?? []) {
    expect(new Set(domains).size).toBe(domains.length);
    expect(entries.length).toBeGreaterThan(0);
    for (const { match, action } of entries) {
      expect(match?.pathSpecifier).toBeDefined();
      const specifier = action?.$case === "route" ? action.value.clusterSpecifier : undefined;
      expect(specifier).toBeDefined();
      if (specifier?.$case !== "weightedClusters") continue;
      const { clusters } = specifier.value;
      expect(new Set(clusters.map((cluster) => cluster.name)).size).toBe(clusters.length);
      expect(clusters.length).toBeGreaterThan(1);
      for (const { weight } of clusters) expect(weight).toBeGreaterThan(0);
    }
  }
}

/** Where there is TLS, somebody in particular is expected: an empty list would accept everyone. */
function expectIdentities(cluster: Cluster | undefined): void {
  const config = cluster?.transportSocket?.configType?.value;
  if (config === undefined) return;
  const context = unpack(config, typeUrls.upstreamTlsContext, UpstreamTlsContext)?.commonTlsContext;
  const validation = context?.validationContextType;
  const matchers =
    validation?.$case === "combinedValidationContext"
      ? validation.value.defaultValidationContext?.matchSubjectAltNames
      : [];
  expect(matchers?.length).toBeGreaterThan(0);
}

/** What gRPC clients refuse a whole assignment for. */
function expectValidEndpoints(name: string, assignment: ClusterLoadAssignment | undefined): void {
  expect(assignment?.clusterName).toBe(name);
  const addresses: string[] = [];
  for (const { locality, priority, loadBalancingWeight, lbEndpoints } of assignment?.endpoints ?? []) {
    expect(locality).toBeDefined();
    expect(priority).toBe(0);
    expect(loadBalancingWeight).toBe(lbEndpoints.length);
    for (const { hostIdentifier, loadBalancingWeight: weight } of lbEndpoints) {
      const address = hostIdentifier?.$case === "endpoint" ? hostIdentifier.value.address?.address : undefined;
      const socket = address?.$case === "socketAddress" ? address.value : undefined;
      expect(isIP(socket?.address ?? "")).not.toBe(0);
      expect(weight).toBe(1);
      addresses.push(`${socket?.address} ${socket?.portSpecifier?.value}`);
    }
  }
  expect(new Set(addresses).size).toBe(addresses.length);
}

function encoded(answers: Answers): Record<string, string> {
  const bytes: Record<string, string> = {};
  const add = <T>(type: MessageType<T>, messages: Readonly<Record<string, T | undefined>>): void => {
    for (const [name, message] of Object.entries(messages)) {
      bytes[name] = message === undefined ? "" : Buffer.from(type.encode(message).finish()).toString("base64");
    }
  };
  add(Listener, answers.listeners);
  add(RouteConfiguration, answers.routeConfigurations);
  add(Cluster, answers.clusters);
  add(
    ClusterLoadAssignment,
    Object.fromEntries(Object.entries(answers.endpoints).map(([name, value]) => [`eds ${name}`, value])),
  );
  return bytes;
}
