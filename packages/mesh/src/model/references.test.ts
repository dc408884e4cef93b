import { expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { checkReferences } from "./references.ts";
import { createSnapshot } from "./snapshot.ts";
import { resourcesOf } from "./testing/mesh.ts";

/** What the resources of a text say about each other that can't be so. */
function findings(text: string): string[] {
  const { resources } = createSnapshot({ resources: resourcesOf(text), workloads: [] });
  return checkReferences(resources).map(formatDiagnostic);
}

const service =
  "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {selector: {app: echo}, ports: [{port: 7070}]}\n---\n";

function virtualService(destination: string, name = "echo", host = "echo"): string {
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}}\nspec:\n  hosts: [${host}]\n  http:\n  - route:\n    - destination: ${destination}\n---\n`;
}

function destinationRule(name: string, spec: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${name}}\nspec: ${spec}\n---\n`;
}

test("an unknown host is named where it is written", () => {
  expect(findings(service + virtualService("{host: ecko}"))).toEqual([
    "test.yaml:13:27: warning WEFT0101: spec.http[0].route[0].destination: there is no Service ecko.shop.svc.cluster.local",
  ]);
});

test("an unknown subset and port are named where they are written", () => {
  expect(findings(service + virtualService("{host: echo, subset: v9, port: {number: 1}}"))).toEqual([
    expect.stringContaining(
      "test.yaml:13:41: warning WEFT0102: spec.http[0].route[0].destination: no DestinationRule gives",
    ),
    expect.stringContaining(
      "test.yaml:13:51: warning WEFT0103: spec.http[0].route[0].destination: echo.shop.svc.cluster.local has no port 1",
    ),
  ]);
});

test("what refers to something that is there is said nothing about", () => {
  const rule = destinationRule("echo", "{host: echo, subsets: [{name: v1}]}");
  expect(findings(service + rule + virtualService("{host: echo, subset: v1, port: {number: 7070}}"))).toEqual([]);
});

test("the second VirtualService of a host has no effect", () => {
  expect(
    findings(service + virtualService("{host: echo}", "a") + virtualService("{host: echo}", "b", "echo.shop")),
  ).toEqual([
    expect.stringContaining(
      "test.yaml:19:11: warning WEFT0104: spec.hosts[0]: the routes of echo.shop.svc.cluster.local are those of VirtualService/shop/a",
    ),
  ]);
});

test("a DestinationRule of an unknown host is said", () => {
  expect(findings(destinationRule("echo", "{host: echo}"))).toEqual([
    expect.stringContaining(
      "test.yaml:4:14: warning WEFT0106: spec.host: there is no Service echo.shop.svc.cluster.local",
    ),
  ]);
});

test("rules that repeat each other merge without a word, those that contradict are named", () => {
  const subset = "subsets: [{name: v1, labels: {version: v1}}]";
  const mutual = "trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}";
  const first = destinationRule("a", `{host: echo, ${subset}, ${mutual}}`);
  expect(findings(service + first + destinationRule("b", `{host: echo, ${subset}, ${mutual}}`))).toEqual([]);
  const other = `{host: echo, subsets: [{name: v1}], trafficPolicy: {tls: {mode: DISABLE}}}`;
  expect(findings(service + first + destinationRule("b", other))).toEqual([
    expect.stringContaining("test.yaml:14:30: warning WEFT0105: the subset v1"),
    expect.stringContaining("test.yaml:14:58: warning WEFT0105: the trafficPolicy"),
  ]);
});

test("a rule of another namespace has no effect", () => {
  const stranger = destinationRule("a, namespace: other", "{host: echo.shop.svc.cluster.local}");
  expect(findings(service + stranger)).toEqual([
    expect.stringContaining(
      "WEFT0107: spec.host: a DestinationRule of namespace other has no effect on echo.shop.svc.cluster.local",
    ),
  ]);
});

test("two PeerAuthentications of one scope are said, of different scopes not", () => {
  const policy = (name: string, selector = "") =>
    `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}}\nspec: {${selector}mtls: {mode: STRICT}}\n---\n`;
  expect(findings(policy("a") + policy("b", "selector: {matchLabels: {app: echo}}, "))).toEqual([]);
  expect(findings(policy("a") + policy("b"))).toEqual([
    expect.stringContaining("test.yaml:8:18: warning WEFT0108: PeerAuthentication/shop/a already decides"),
  ]);
});
