import { describe, expect, test } from "vitest";
import type { ServicePort } from "./resource.ts";
import {
  destinationRule,
  listener,
  peerAuthentication,
  service,
  snapshot,
  splitBetween,
  workload,
} from "./testing/mesh.ts";

const echo = "echo.shop.svc.cluster.local";

function withPort(port: Partial<ServicePort>) {
  const spec = {
    selector: { app: "echo" },
    ports: [{ name: "grpc", port: 7070, targetPort: 17070, protocol: "TCP", ...port }],
  } as const;
  return service("echo", { spec });
}

describe("endpoints of a Service", () => {
  test("are the workloads of its namespace that its selector matches", () => {
    const mesh = snapshot(
      service("echo"),
      workload("echo-1"),
      workload("pay-1", { address: "10.0.0.2" }),
      workload("echo-2", { address: "10.0.0.3", namespace: "other" }),
    );
    expect(mesh.endpoints(echo, 7070).map(({ uid }) => uid)).toEqual(["echo-1"]);
  });

  test("are none without a selector, of an unknown port, of a UDP port and of an unknown host", () => {
    const withoutSelector = service("pay", { spec: { ports: service("pay").spec.ports } });
    const mesh = snapshot(withPort({ protocol: "UDP" }), withoutSelector, workload("echo-1"), workload("pay-1"));
    for (const [host, port] of [
      [echo, 7070],
      [echo, 1],
      ["pay.shop.svc.cluster.local", 7070],
      ["nobody", 7070],
    ] as const) {
      expect(mesh.endpoints(host, port)).toEqual([]);
    }
  });

  test("are found by the port's name before the numeric targetPort", () => {
    const both = workload("echo-1", {
      listeners: [listener({ port: 5 }), listener({ portName: "http", port: 17070 })],
    });
    expect(
      snapshot(service("echo"), both)
        .endpoints(echo, 7070)
        .map(({ port }) => port),
    ).toEqual([5]);
  });

  test("are found by a targetPort that is a name", () => {
    const mesh = snapshot(withPort({ name: "api", targetPort: "grpc" }), workload("echo-1"));
    expect(mesh.endpoints(echo, 7070)).toHaveLength(1);
  });

  test("are found by the numeric targetPort where no name fits", () => {
    const mesh = snapshot(withPort({ name: "" }), workload("echo-1", { listeners: [listener({ portName: "" })] }));
    expect(mesh.endpoints(echo, 7070).map(({ port }) => port)).toEqual([17070]);
  });

  test("of several listeners with the port's name are the one that has its number too", () => {
    const twice = workload("echo-1", { listeners: [listener({ port: 5 }), listener()] });
    expect(
      snapshot(service("echo"), twice)
        .endpoints(echo, 7070)
        .map(({ port }) => port),
    ).toEqual([17070]);
  });

  test("of a workload that drains are not serving", () => {
    const mesh = snapshot(service("echo"), workload("echo-1", { state: "DRAINING" }));
    expect(mesh.endpoints(echo, 7070)).toMatchObject([{ state: "NOT_SERVING" }]);
  });

  test("of a workload whose session broke still serve", () => {
    const mesh = snapshot(service("echo"), workload("echo-1", { state: "SUSPECT" }));
    expect(mesh.endpoints(echo, 7070)).toMatchObject([{ state: "SERVING" }]);
  });

  test("come in the order of their addresses, whatever the order of the registrations", () => {
    const workloads = ["10.0.0.3", "10.0.0.1", "10.0.0.2"].map((address, at) => workload(`echo-${at}`, { address }));
    const mesh = snapshot(service("echo"), ...workloads);
    expect(mesh.endpoints(echo, 7070).map(({ address }) => address)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
  });
});

describe("rules of a host", () => {
  test("unite subsets by name and take the first trafficPolicy, so that a second rule deletes nothing", () => {
    const mesh = snapshot(
      destinationRule({ host: "echo", subsets: [{ name: "v1", labels: { version: "v1" } }] }, { name: "versions" }),
      destinationRule({ host: echo, trafficPolicy: { tlsMode: "ISTIO_MUTUAL" } }, { name: "mtls" }),
      service("echo"),
    );
    expect(mesh.rule(echo)).toEqual({
      subsets: [{ name: "v1", labels: { version: "v1" } }],
      trafficPolicy: { tlsMode: "ISTIO_MUTUAL" },
    });
  });

  test("hear the oldest first, then by name", () => {
    const mesh = snapshot(
      destinationRule({ host: echo, trafficPolicy: { tlsMode: "DISABLE" } }, { name: "a", createdAtMs: 2 }),
      destinationRule({ host: echo, trafficPolicy: { tlsMode: "ISTIO_MUTUAL" } }, { name: "b", createdAtMs: 1 }),
    );
    expect(mesh.rule(echo)?.trafficPolicy).toEqual({ tlsMode: "ISTIO_MUTUAL" });
  });

  test("of another namespace have no effect, those of the root namespace do", () => {
    const rule = destinationRule({ host: echo, trafficPolicy: { tlsMode: "ISTIO_MUTUAL" } });
    expect(snapshot(service("echo"), { ...rule, namespace: "other" }).rule(echo)).toBeUndefined();
    expect(snapshot(service("echo"), { ...rule, namespace: "weft-system" }).rule(echo)).toBeDefined();
  });

  test("of several VirtualServices with one host only the first routes", () => {
    const mesh = snapshot(
      splitBetween("echo", { v2: 1 }, { name: "b" }),
      splitBetween(echo, { v1: 1 }, { name: "a" }),
      service("echo"),
    );
    expect(mesh.routes(echo)?.http[0]?.destinations).toMatchObject([{ host: echo, subset: "v1" }]);
  });

  test("a name with a dot is a Service's where there is one, and full otherwise", () => {
    const routes = splitBetween("echo.shop", { v1: 1 });
    expect(snapshot(service("echo"), routes).host("echo.shop")).toBeUndefined();
    expect(snapshot(service("echo"), routes).routes(echo)).toBeDefined();
    expect(snapshot(routes).host("echo.shop")).toEqual({ name: "echo.shop", namespace: undefined, service: undefined });
  });
});

describe("mutual TLS of a listener", () => {
  const own = peerAuthentication(
    { mode: "STRICT", selector: { app: "echo" }, portModes: { 9000: "DISABLE", 9001: "UNSET" } },
    { name: "own" },
  );
  const ofNamespace = peerAuthentication({ mode: "DISABLE" }, { name: "namespace" });
  const ofMesh = peerAuthentication({ mode: "STRICT" }, { name: "mesh", namespace: "weft-system" });
  const ports = [listener(), listener({ port: 9000 }), listener({ port: 9001 })];

  test.each([
    ["nothing said is plaintext", [], "DISABLE"],
    ["the mesh's policy holds everywhere", [ofMesh], "STRICT"],
    ["the namespace's goes before the mesh's", [ofMesh, ofNamespace], "DISABLE"],
    ["the workload's goes before the namespace's", [ofMesh, ofNamespace, own], "STRICT"],
    ["UNSET asks the wider scope", [ofMesh, peerAuthentication({ mode: "UNSET" })], "STRICT"],
    ["another namespace's says nothing", [peerAuthentication({ mode: "STRICT" }, { namespace: "other" })], "DISABLE"],
    ["a selector in the root namespace reaches no further", [{ ...own, namespace: "weft-system" }], "DISABLE"],
  ] as const)("%s", (_, policies, expected) => {
    expect(snapshot(...policies, workload("echo-1")).inbound("node-echo-1", 17070)?.mutualTls).toBe(expected);
  });

  test("a port's mode goes before its policy's, and UNSET takes that", () => {
    const mesh = snapshot(own, workload("echo-1", { listeners: ports }));
    expect([9000, 9001].map((port) => mesh.inbound("node-echo-1", port)?.mutualTls)).toEqual(["DISABLE", "STRICT"]);
  });

  test("is found by node and port only", () => {
    const mesh = snapshot(workload("echo-1"));
    expect(mesh.inbound("node-echo-1", 1)).toBeUndefined();
    expect(mesh.inbound("another", 17070)).toBeUndefined();
  });
});

describe("interfaces", () => {
  const exporting = (uid: string, name: string) => workload(uid, { listeners: [listener({ interfaces: [name] })] });

  test("are what live registrations export, with the hosts behind which they stand", () => {
    const mesh = snapshot(service("echo"), exporting("echo-1", "greet.v1.Greeter"));
    expect(mesh.interface("greet.v1.Greeter")).toMatchObject({
      endpoints: [{ uid: "echo-1" }],
      hostPorts: [{ host: echo, port: 7070 }],
      hasHostless: false,
    });
    expect(mesh.interface("greet.v1.Other")).toBeUndefined();
  });

  test("a workload behind no Service exports too", () => {
    expect(snapshot(exporting("lone-1", "greet.v1.Greeter")).interface("greet.v1.Greeter")).toMatchObject({
      hostPorts: [],
      hasHostless: true,
    });
  });

  test.each([
    "grpc.health.v1.Health",
    "envoy.x.Y",
    "istio.v1.Z",
    "weft.registry.v1.InterfaceRegistry",
    "no name",
    "a..b",
    "",
  ])("%j is never one", (name) => {
    expect(snapshot(exporting("echo-1", name)).interface(name)).toBeUndefined();
  });

  test("a name that resolves as a host is never one", () => {
    const mesh = snapshot(service("echo"), exporting("pay-1", "echo.shop"));
    expect(mesh.interface("echo.shop")).toBeUndefined();
  });
});
