import { describe, expect, test } from "vitest";
import { listener, service, snapshot, splitBetween, workload } from "../model/testing/mesh.ts";
import { resolveDialledName } from "./dialled-name.ts";
import { audience } from "./testing/answers.ts";

const ports = [
  { name: "http", port: 80, targetPort: 80, protocol: "TCP" },
  { name: "grpc-api", port: 7070, targetPort: 7070, protocol: "TCP" },
  { name: "dns", port: 53, targetPort: 53, protocol: "UDP" },
] as const;

const mesh = snapshot(
  service("echo"),
  service("echo", { namespace: "other" }),
  service("many", { spec: { ports } }),
  service("vague", {
    spec: {
      ports: [
        { ...ports[0], name: "a" },
        { ...ports[0], name: "b", port: 81 },
      ],
    },
  }),
  splitBetween("virtual.example.com", { v1: 1 }),
  workload("x-1", { listeners: [listener({ interfaces: ["greet.v1.Greeter", "Lone", "echo.shop"] })] }),
);

const echo = { kind: "host", host: "echo.shop.svc.cluster.local", port: 7070 };

describe("a dialled name, said in namespace shop", () => {
  test.each([
    ["echo", echo],
    ["echo:7070", echo],
    ["echo.shop", echo],
    ["echo.shop:7070", echo],
    ["echo.shop.svc:7070", echo],
    ["echo.shop.svc.cluster.local", echo],
    ["echo.shop.svc.cluster.local:7070", echo],
    ["echo.shop.svc.cluster.local.", echo],
    ["echo.shop.svc.cluster.local.:7070", echo],
    ["echo.other:7070", { ...echo, host: "echo.other.svc.cluster.local" }],
    ["many", { kind: "host", host: "many.shop.svc.cluster.local", port: 7070 }],
    ["many:80", { kind: "host", host: "many.shop.svc.cluster.local", port: 80 }],
    ["virtual.example.com", { kind: "host", host: "virtual.example.com", port: 0 }],
    ["virtual.example.com:443", { kind: "host", host: "virtual.example.com", port: 443 }],
    ["greet.v1.Greeter", { kind: "interface", name: "greet.v1.Greeter" }],
    ["Lone", { kind: "interface", name: "Lone" }],
  ])("%s leads there", (name, target) => {
    expect(resolveDialledName(mesh, audience(), name)).toEqual(target);
  });

  test.each([
    "echo:1",
    "echo:0070",
    "echo.",
    "echo.:7070",
    "many:53",
    "vague",
    "nobody:80",
    "nobody.shop.svc.cluster.local:80",
    "greet.v1.Greeter.",
    "greet.v1.Absent",
    "grpc.health.v1.Health",
  ])("%s would be ours, but leads nowhere", (name) => {
    expect(["missing", "foreign"]).toContain(resolveDialledName(mesh, audience(), name).kind);
  });

  test.each([
    "www.example.com:443",
    "greet.v1.Greeter:80",
    "10.0.0.1:80",
    "xdstp://a/b",
    "[::1]:80",
    "a b",
    "",
    ":80",
    "echo:99999",
    "a".repeat(400),
    "echo|7070",
  ])("%s is not ours", (name) => {
    expect(resolveDialledName(mesh, audience(), name)).toEqual({ kind: "foreign" });
  });

  test("a short name means the audience's own namespace", () => {
    const target = resolveDialledName(mesh, audience({ namespace: "other" }), "echo:7070");
    expect(target).toMatchObject({ host: "echo.other.svc.cluster.local" });
  });
});
