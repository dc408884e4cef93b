import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { changedKeys } from "./changed-keys.ts";
import type { MeshKey } from "./mesh-reader.ts";
import { RecordingReader } from "./recording-reader.ts";
import { sameValue } from "./same-value.ts";
import { createSnapshot, type MeshSnapshot } from "./snapshot.ts";
import {
  destinationRule,
  listener,
  peerAuthentication,
  service,
  snapshot,
  splitBetween,
  workload,
} from "./testing/mesh.ts";
import { anyMesh, anyResource, anyWorkload, names } from "./testing/random-mesh.ts";

const echo = "echo.shop.svc.cluster.local";

function changed(previous: MeshSnapshot, next: MeshSnapshot): string[] {
  return [...changedKeys(previous, next)].sort();
}

describe("a change is exactly the keys that mean something else", () => {
  test("nothing, where resources are equal by value and only written elsewhere", () => {
    const moved = { ...service("echo"), origin: { ...service("echo").origin, file: "other.yaml", line: 7 } };
    expect(changed(snapshot(service("echo"), workload("echo-1")), snapshot(moved, workload("echo-1")))).toEqual([]);
  });

  test("a workload that joins changes its hosts' endpoints, its interfaces and its own listener", () => {
    const joining = workload("echo-1", { listeners: [listener({ interfaces: ["greet.v1.Greeter"] })] });
    expect(
      changed(snapshot(service("echo"), service("pay")), snapshot(service("echo"), service("pay"), joining)),
    ).toEqual([`endpoints/${echo}`, "inbound/node-echo-1/17070", "interface/greet.v1.Greeter"]);
  });

  test("a listener that begins to serve changes the endpoints but not its own listener resource", () => {
    const starting = workload("echo-1", { listeners: [listener({ state: "STARTING" })] });
    expect(changed(snapshot(service("echo"), starting), snapshot(service("echo"), workload("echo-1")))).toEqual([
      `endpoints/${echo}`,
    ]);
  });

  test("what only people see of a workload changes nothing", () => {
    const renamed = workload("echo-1", { displayName: "another", incarnation: "2", state: "SUSPECT" });
    expect(changed(snapshot(service("echo"), workload("echo-1")), snapshot(service("echo"), renamed))).toEqual([]);
  });

  test("a VirtualService changes the routes of its hosts alone", () => {
    const contents = [service("echo"), workload("echo-1")];
    expect(changed(snapshot(...contents), snapshot(...contents, splitBetween("echo", { v1: 1 })))).toEqual([
      `routes/${echo}`,
    ]);
  });

  test("a DestinationRule changes the rule of its host alone", () => {
    const contents = [service("echo"), workload("echo-1")];
    const rule = destinationRule({ host: "echo", trafficPolicy: { tlsMode: "ISTIO_MUTUAL" } });
    expect(changed(snapshot(...contents), snapshot(...contents, rule))).toEqual([`rule/${echo}`]);
  });

  test("a mesh-wide PeerAuthentication changes every listener, except where a nearer one already says it", () => {
    const contents = [
      workload("echo-1"),
      workload("pay-1", { namespace: "safe" }),
      peerAuthentication({ mode: "STRICT" }, { namespace: "safe" }),
    ];
    const ofMesh = peerAuthentication({ mode: "STRICT" }, { namespace: "weft-system" });
    expect(changed(snapshot(...contents), snapshot(...contents, ofMesh))).toEqual(["inbound/node-echo-1/17070"]);
  });

  test("a host that takes an interface's name changes the interface", () => {
    const exporting = workload("echo-1", { listeners: [listener({ interfaces: ["greet.shop"] })] });
    expect(changed(snapshot(exporting), snapshot(exporting, service("greet")))).toEqual([
      "host/greet.shop.svc.cluster.local",
      "interface/greet.shop",
    ]);
  });

  test("between any two meshes, every reading differs if and only if its key is among the changes", () => {
    fc.assert(
      fc.property(anyMesh, anyMesh, fc.boolean(), (before, after, keepsResources) => {
        const previous = createSnapshot(before);
        const next = createSnapshot(keepsResources ? { ...after, resources: before.resources } : after, previous);
        expectExact(previous, next);
      }),
      { numRuns: 1000 },
    );
  });

  test("the same holds when one resource or workload comes, goes or is replaced", () => {
    fc.assert(
      fc.property(
        anyMesh,
        fc.option(anyResource),
        fc.option(anyWorkload),
        fc.nat(8),
        (before, resource, registered, drop) => {
          const previous = createSnapshot(before);
          const resources = before.resources.filter((_, index) => index !== drop);
          const workloads = before.workloads.filter((_, index) => index !== drop);
          const next = createSnapshot({
            resources: resource === null ? resources : [...resources, resource],
            workloads: registered === null ? workloads : [...workloads, registered],
          });
          expectExact(previous, next);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

test("a recording reader notes each key, also where the answer is that there is nothing", () => {
  const reader = new RecordingReader(snapshot());
  reader.host("a");
  reader.routes("b");
  reader.rule("c");
  reader.endpoints("d", 1);
  reader.interface("e");
  reader.inbound("f", 2);
  expect([...reader.keys]).toEqual(["host/a", "routes/b", "rule/c", "endpoints/d", "interface/e", "inbound/f/2"]);
});

test("indexes are taken over while the resources are the same array", () => {
  const resources = [service("echo")];
  const first = createSnapshot({ resources, workloads: [] });
  const second = createSnapshot({ resources, workloads: [workload("echo-1")] }, first);
  expect(second.resources).toBe(first.resources);
  expect(second.endpoints(echo, 7070)).toHaveLength(1);
});

function expectExact(previous: MeshSnapshot, next: MeshSnapshot): void {
  const keys = changedKeys(previous, next);
  const before = readings(previous);
  const after = readings(next);
  const differing = [...before.keys()].filter((key) => !sameValue(before.get(key), after.get(key)));
  expect([...keys].sort()).toEqual(differing.sort());
}

/** Everything that can be read of a mesh over the random names. */
function readings(mesh: MeshSnapshot): Map<MeshKey, unknown> {
  const hosts = names.services.flatMap((name) =>
    names.namespaces.map((namespace) => `${name}.${namespace}.svc.cluster.local`),
  );
  const all = new Map<MeshKey, unknown>();
  for (const host of [
    ...hosts,
    "virtual.example.com",
    "greet.v1",
    "greet.v1.svc.cluster.local",
    "echo",
    "echo.shop",
    "pay.other.svc",
  ]) {
    all.set(`host/${host}`, mesh.host(host));
    all.set(`routes/${host}`, mesh.routes(host));
    all.set(`rule/${host}`, mesh.rule(host));
    all.set(
      `endpoints/${host}`,
      [80, 7070].map((port) => mesh.endpoints(host, port)),
    );
  }
  for (const name of names.interfaces) all.set(`interface/${name}`, mesh.interface(name));
  for (const node of ["n1", "n2"]) {
    for (const port of [17070, 9999]) all.set(`inbound/${node}/${port}`, mesh.inbound(node, port));
  }
  return all;
}
