import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDiagnostic } from "./diagnostic.ts";
import { parseDocuments } from "./parse.ts";
import { textLimits } from "./yaml-text.ts";

function parse(text: string) {
  return parseDocuments(text, "mesh.yaml", { defaultNamespace: "shop" });
}

/** What is wrong with a text, as lines. */
function findings(text: string): string[] {
  return parse(text).diagnostics.map(formatDiagnostic);
}

const service =
  "apiVersion: v1\nkind: Service\nmetadata: {name: echo}\nspec: {selector: {app: echo}, ports: [{port: 1}]}\n";

function destinationRule(spec: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: echo}\nspec: ${spec}\n`;
}

function virtualService(http: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: echo}\nspec: {hosts: [echo], http: ${http}}\n`;
}

function peerAuthentication(spec: string): string {
  return `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: peers}\nspec: ${spec}\n`;
}

const toEcho = "route: [{destination: {host: echo}}]";

describe("documents", () => {
  test("a wrong document leaves the others of its file in force", () => {
    const { resources, refused } = parse(`${service}---\n${peerAuthentication("{mtls: {mode: MAYBE}}")}---\nfoo: {a\n`);
    expect(resources.map(({ kind, namespace, name }) => `${kind}/${namespace}/${name}`)).toEqual(["Service/shop/echo"]);
    expect(refused).toEqual([undefined, "PeerAuthentication/shop/peers"]);
  });

  test("a place is file, line and column, also after the first document", () => {
    expect(findings(`${service}---\n${destinationRule("\n  host: echo\n  subset: []\n")}`)).toEqual([
      "mesh.yaml:11:3: error WEFT0010: unknown field spec.subset (did you mean subsets?)",
    ]);
  });

  test("a text cut out of a file keeps the file's lines", () => {
    const [diagnostic] = parseDocuments("foo: 1\n", "a.yaml", { defaultNamespace: "shop", firstLine: 40 }).diagnostics;
    expect(diagnostic?.at).toMatchObject({ file: "a.yaml", line: 40 });
  });

  test("a document's own text reads as the same resource", () => {
    const [, second] = parse(
      `${service}---\n  ${destinationRule("{host: echo}").trimEnd().replaceAll("\n", "\n  ")}\n`,
    ).resources;
    const again = parseDocuments(second?.origin.text ?? "", "mesh.yaml", {
      defaultNamespace: "shop",
      firstLine: second?.origin.line ?? 0,
    });
    expect(again.resources).toEqual([second]);
  });

  test("the items of a v1 List are resources with texts of their own", () => {
    const items = service.replaceAll(/^/gm, "  ").replace("  ", "- ").trimEnd();
    const { resources, diagnostics } = parse(`apiVersion: v1\nkind: List\nitems:\n${items}\n`);
    expect(diagnostics).toEqual([]);
    expect(parse(resources[0]?.origin.text ?? "").resources[0]?.spec).toEqual(resources[0]?.spec);
  });

  test("the same resource twice is an error and the first counts", () => {
    const { resources, diagnostics } = parse(`${service}---\n${service}`);
    expect(resources).toHaveLength(1);
    expect(diagnostics.map(formatDiagnostic)).toEqual([
      "mesh.yaml:8:18: error WEFT0007: Service/shop/echo is already defined in line 1",
    ]);
  });

  test("empty documents and comments are nothing", () => {
    expect(parse("# nothing\n---\n---\n# more\n")).toEqual({ resources: [], refused: [], diagnostics: [] });
  });

  test.each([
    ["a duplicate key", "a: 1\na: 2\n", "WEFT0001"],
    ["a directive", "%YAML 1.1\n---\nyes: on\n", "WEFT0001"],
    ["an alias of nothing", "a: *b\n", "WEFT0001"],
    ["an alias of its own parent", "&a [*a]\n", "WEFT0001"],
    ["a scalar", "hello\n", "WEFT0003"],
    ["a list", "- 1\n", "WEFT0003"],
    ["a document without a kind", "apiVersion: v1\n", "WEFT0003"],
    ["nesting without end", "[".repeat(100_000), "WEFT0002"],
    [
      "nesting in block form",
      Array.from({ length: 200 }, (_, depth) => `${" ".repeat(depth)}a:\n`).join(""),
      "WEFT0002",
    ],
    ["too much text", " ".repeat(textLimits.characters + 1), "WEFT0002"],
    [
      "aliases that multiply",
      `a: &a [1,1,1,1,1,1,1,1]\n${[..."bcdefgh"].map((key, at) => `${key}: &${key} [${Array(8).fill(`*${"abcdefgh"[at]}`).join(",")}]\n`).join("")}`,
      "WEFT0002",
    ],
  ])("refuses %s", (_, text, code) => {
    const { resources, diagnostics } = parse(text);
    expect(resources).toEqual([]);
    expect(diagnostics[0]).toMatchObject({ code, severity: "error" });
  });

  test("never throws on arbitrary text", () => {
    const token = fc.constantFrom(
      ...[
        "---\n",
        "\n",
        "  ",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!!map ",
        "|\n",
        ">-\n",
        "? ",
        "%TAG ! x\n",
      ],
      ...[
        "kind",
        "Service",
        "apiVersion",
        "v1",
        "spec",
        "metadata",
        "name",
        "'",
        '"',
        "#",
        "<<",
        "__proto__",
        "\t",
        "\0",
      ],
      "networking.istio.io/v1",
    );
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.array(token, { maxLength: 60 }).map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (input) => Array.isArray(parse(input).diagnostics)),
      { numRuns: 2000 },
    );
  });

  test("never throws on JSON of any shape under a known kind, and takes nothing that it finds fault with", () => {
    const kinds = fc.constantFrom(
      ["v1", "Service"],
      ["networking.istio.io/v1", "DestinationRule"],
      ["networking.istio.io/v1", "VirtualService"],
      ["security.istio.io/v1", "PeerAuthentication"],
    );
    const key = fc.constantFrom(
      "host",
      "hosts",
      "http",
      "route",
      "match",
      "ports",
      "subsets",
      "tls",
      "mode",
      "selector",
      "uri",
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean()),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.oneof(key, fc.string()), tie("value"), { maxKeys: 4 }),
      ),
    }));
    fc.assert(
      fc.property(kinds, value, ([apiVersion, kind], spec) => {
        const { resources, diagnostics } = parse(JSON.stringify({ apiVersion, kind, metadata: { name: "x" }, spec }));
        return resources.length === 0 || diagnostics.every(({ severity }) => severity === "warning");
      }),
      { numRuns: 1000 },
    );
  });

  test("a text with very many faulty documents lists the first thousand faults", () => {
    const { diagnostics, refused } = parse("---\na: 1\n".repeat(3000));
    expect(refused).toHaveLength(3000);
    expect(diagnostics).toHaveLength(1000);
    expect(diagnostics.at(-1)?.message).toContain("2000 more are not listed");
  });

  test.each([
    ["many keys in one map", Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join("")],
    ["many entries", `[${"1,".repeat(300_000)}1]`],
    ["many aliases", `- &a x\n${"- *a\n".repeat(60_000)}`],
    ["many quotes", '"'.repeat(200_000)],
  ])("reads %s in linear time", (_, text) => {
    const start = performance.now();
    expect(parse(text).resources).toEqual([]);
    // Quadratic steps take minutes here.
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test("a document with very many faults lists the first hundred", () => {
    const fields = Array.from({ length: 500 }, (_, index) => `field${index}: 1`).join(", ");
    const { diagnostics } = parse(destinationRule(`{host: echo, ${fields}}`));
    expect(diagnostics).toHaveLength(100);
    expect(diagnostics.at(-1)?.message).toContain("not listed");
  });
});

describe("kinds", () => {
  test.each([
    ["AuthorizationPolicy", "security.istio.io/v1", "WEFT0005"],
    ["RequestAuthentication", "security.istio.io/v1", "WEFT0005"],
    ["EnvoyFilter", "networking.istio.io/v1alpha3", "WEFT0005"],
    ["WasmPlugin", "extensions.istio.io/v1alpha1", "WEFT0005"],
    ["ServiceEntry", "networking.istio.io/v1", "WEFT0008"],
    ["GRPCRoute", "gateway.networking.k8s.io/v1", "WEFT0008"],
    ["Deployment", "apps/v1", "WEFT0004"],
    ["Service", "serving.knative.dev/v1", "WEFT0004"],
    ["constructor", "v1", "WEFT0004"],
  ])("%s of %s is refused with %s", (kind, apiVersion, code) => {
    const { resources, diagnostics } = parse(
      `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x}\nspec: {}\n`,
    );
    expect(resources).toEqual([]);
    expect(diagnostics).toMatchObject([{ code, severity: "error", at: { line: 2, column: 7 } }]);
    expect(code === "WEFT0008" || diagnostics[0]?.hint !== undefined).toBe(true);
  });

  test("a near kind is suggested", () => {
    expect(findings("apiVersion: networking.istio.io/v1\nkind: VirtualServices\n")).toEqual([
      'mesh.yaml:2:7: error WEFT0004: the kind "VirtualServices" of "networking.istio.io" is unknown (did you mean VirtualService of networking.istio.io/v1?)',
    ]);
  });

  test("an unknown version of a known kind is refused", () => {
    expect(findings("apiVersion: networking.istio.io/v9\nkind: VirtualService\n")).toEqual([
      'mesh.yaml:1:13: error WEFT0006: VirtualService has no apiVersion "networking.istio.io/v9" (write networking.istio.io/v1)',
    ]);
  });

  test.each(["v1alpha3", "v1beta1", "v1"])("networking rules are taken in %s", (version) => {
    expect(findings(destinationRule("{host: echo}").replace("/v1", `/${version}`))).toEqual([]);
  });
});

describe("fields", () => {
  test.each([
    [
      "an unquoted number as a label",
      destinationRule("{host: echo, subsets: [{name: v1, labels: {version: 1}}]}"),
      'write it in quotes: "1"',
    ],
    ["a missing host", destinationRule("{}"), "spec.host is missing"],
    ["a wildcard host", destinationRule("{host: '*.example.com'}"), "WEFT0040"],
    ["an upper-case host", destinationRule("{host: Echo}"), "WEFT0013"],
    ["an IP address as host", destinationRule("{host: 10.0.0.1}"), "WEFT0013"],
    ["a subset twice", destinationRule("{host: echo, subsets: [{name: a}, {name: a}]}"), "WEFT0016"],
    ["tls SIMPLE", destinationRule("{host: echo, trafficPolicy: {tls: {mode: SIMPLE}}}"), "use ISTIO_MUTUAL"],
    ["tls MUTUAL", destinationRule("{host: echo, trafficPolicy: {tls: {mode: MUTUAL}}}"), "WEFT0040"],
    [
      "a misspelt tls mode",
      destinationRule("{host: echo, trafficPolicy: {tls: {mode: ISTIO_MUTAL}}}"),
      "did you mean ISTIO_MUTUAL?",
    ],
    ["another balancer", destinationRule("{host: echo, trafficPolicy: {loadBalancer: {simple: RANDOM}}}"), "WEFT0040"],
    ["portLevelSettings", destinationRule("{host: echo, trafficPolicy: {portLevelSettings: []}}"), "WEFT0041"],
    [
      "subjectAltNames",
      destinationRule("{host: echo, trafficPolicy: {tls: {mode: ISTIO_MUTUAL, subjectAltNames: [x]}}}"),
      "WEFT0041",
    ],
    ["PERMISSIVE", peerAuthentication("{mtls: {mode: PERMISSIVE}}"), "WEFT0040"],
    [
      "PERMISSIVE on a port",
      peerAuthentication("{selector: {matchLabels: {a: b}}, portLevelMtls: {80: {mode: PERMISSIVE}}}"),
      "WEFT0040",
    ],
    ["ports without a selector", peerAuthentication("{portLevelMtls: {80: {mode: STRICT}}}"), "needs a selector"],
    [
      "a port that is none",
      peerAuthentication("{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}}"),
      "is not a port",
    ],
    ["a null mode", peerAuthentication("{mtls: null}"), "spec.mtls must be a map, not empty"],
    [
      "weights of sum 0",
      virtualService("[{route: [{destination: {host: a}, weight: 0}, {destination: {host: b}}]}]"),
      "add up to 0",
    ],
    [
      "weights beyond 2^32",
      virtualService(`[{route: [${Array(3).fill("{destination: {host: a}, weight: 2147483647}").join(",")}]}]`),
      "WEFT0015",
    ],
    ["a negative weight", virtualService("[{route: [{destination: {host: a}, weight: -1}]}]"), "WEFT0012"],
    ["no route", virtualService("[{match: []}]"), "spec.http[0].route is missing"],
    ["a host twice", virtualService(`[{${toEcho}}]`).replace("[echo]", "[echo, echo]"), "WEFT0016"],
    [
      "another gateway",
      virtualService(`[{${toEcho}}]`).replace("{hosts", "{gateways: [edge], hosts"),
      "Weft has no gateways yet",
    ],
    [
      "two kinds of match",
      virtualService(`[{match: [{uri: {exact: /a/b, prefix: /a/}}], ${toEcho}}]`),
      "exactly one of",
    ],
    ["an empty uri match", virtualService(`[{match: [{uri: {}}], ${toEcho}}]`), "exactly one of"],
    ["an empty prefix", virtualService(`[{match: [{headers: {a: {prefix: ''}}}], ${toEcho}}]`), "is empty"],
    [
      "a pseudo header",
      virtualService(`[{match: [{headers: {':method': {exact: POST}}}], ${toEcho}}]`),
      "can never match",
    ],
    ["a binary header", virtualService(`[{match: [{headers: {trace-bin: {}}}], ${toEcho}}]`), "can never match"],
    ["a lookahead", virtualService(`[{match: [{uri: {regex: '(?=a)'}}], ${toEcho}}]`), "WEFT0014"],
    ["a match that would be widened", virtualService(`[{match: [{sourceLabels: {a: b}}], ${toEcho}}]`), "WEFT0041"],
    ["a delegate", virtualService("[{delegate: {name: other}}]"), "WEFT0041"],
    ["a Service without ports", service.replace("[{port: 1}]", "[]"), "WEFT0012"],
    [
      "ports without names",
      service.replace("[{port: 1}]", "[{port: 1}, {port: 2}]"),
      "of several ports each has a name",
    ],
    ["a port twice", service.replace("[{port: 1}]", "[{name: a, port: 1}, {name: b, port: 1}]"), "WEFT0016"],
    ["an ExternalName", service.replace("{selector", "{type: ExternalName, selector"), "WEFT0040"],
    ["a name that is no label", service.replace("name: echo", "name: Echo.x"), "WEFT0013"],
    ["a namespace that is no label", service.replace("name: echo", "name: echo, namespace: a.b"), "WEFT0013"],
    ["a label that nothing can carry", service.replace("app: echo", "app: a b"), "WEFT0013"],
  ])("refuses %s", (_, text, expected) => {
    const { resources, diagnostics } = parse(text);
    expect(resources).toEqual([]);
    expect(diagnostics.map(formatDiagnostic).join("\n")).toContain(expected);
  });

  test.each([
    ["timeout", virtualService(`[{timeout: 1s, ${toEcho}}]`), 4],
    ["retries, fault and mirror", virtualService(`[{retries: {}, fault: {}, mirror: {}, ${toEcho}}]`), 4],
    ["outlierDetection", destinationRule("{host: echo, trafficPolicy: {outlierDetection: {}}}"), 4],
    ["sessionAffinity", service.replace("{selector", "{sessionAffinity: ClientIP, selector"), 4],
  ])("says that %s has no effect, and takes the rest", (_, text, line) => {
    const { resources, diagnostics } = parse(text);
    expect(resources).toHaveLength(1);
    for (const diagnostic of diagnostics)
      expect(diagnostic).toMatchObject({ code: "WEFT0042", severity: "warning", at: { line } });
    expect(diagnostics.length).toBeGreaterThan(0);
  });

  test.each([
    [
      "gateways: [mesh]",
      virtualService(`[{${toEcho}}]`).replace("{hosts", "{gateways: [mesh], exportTo: ['*'], hosts"),
    ],
    [
      "what Kubernetes adds",
      `${service}status: {loadBalancer: {}}\n`.replace("name: echo", "name: echo, uid: x, creationTimestamp: null"),
    ],
    ["an only destination of weight 0", virtualService("[{route: [{destination: {host: a}, weight: 0}]}]")],
    [
      "weights of sum 101",
      virtualService("[{route: [{destination: {host: a}, weight: 1}, {destination: {host: b}, weight: 100}]}]"),
    ],
  ])("takes %s without a word", (_, text) => {
    expect(findings(text)).toEqual([]);
  });

  test("a destination without weight among others gets nothing, and that is said", () => {
    expect(
      findings(virtualService("[{route: [{destination: {host: a}, weight: 1}, {destination: {host: b}}]}]")),
    ).toEqual([expect.stringContaining("warning WEFT0015: spec.http[0].route[1] has no weight, so it gets no calls")]);
  });

  test("a path that no gRPC call has is said", () => {
    expect(findings(virtualService(`[{match: [{uri: {exact: /reviews}}], ${toEcho}}]`))).toEqual([
      expect.stringContaining('warning WEFT0017: spec.http[0].match[0].uri: no gRPC call has a path like "/reviews"'),
    ]);
  });

  test("the age of a resource comes from creationTimestamp", () => {
    const text = service.replace("name: echo", 'name: echo, creationTimestamp: "2026-01-02T03:04:05Z"');
    expect(parse(text).resources[0]?.createdAtMs).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
  });

  test("ten thousand rules are read", () => {
    const entries = Array.from(
      { length: 10_000 },
      (_, index) => `  - match: [{uri: {exact: /a.B/M${index}}}]\n    ${toEcho}`,
    );
    const text = virtualService("").replace(
      "{hosts: [echo], http: }",
      `\n  hosts: [echo]\n  http:\n${entries.join("\n")}`,
    );
    const { resources, diagnostics } = parse(text);
    expect(diagnostics).toEqual([]);
    expect(resources[0]?.kind === "VirtualService" && resources[0].spec.http.length).toBe(10_000);
  });
});
