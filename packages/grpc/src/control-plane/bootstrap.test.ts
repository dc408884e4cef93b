import { expect, test } from "vitest";
import { parseBootstrap } from "./bootstrap.ts";

/** What Istio's agent writes, with a few keys that nobody here reads. */
const istio = {
  xds_servers: [
    { server_uri: "unix:///etc/istio/proxy/XDS", channel_creds: [{ type: "insecure" }], server_features: ["xds_v3"] },
  ],
  node: {
    id: "sidecar~10.0.0.1~echo.shop~shop.svc.cluster.local",
    metadata: { GENERATOR: "grpc", LABELS: { app: "echo" } },
    locality: { region: "r", zone: "z", sub_zone: "s" },
    UserAgentVersionType: null,
  },
  certificate_providers: {
    default: {
      plugin_name: "file_watcher",
      config: {
        certificate_file: "/c/cert.pem",
        private_key_file: "/c/key.pem",
        ca_certificate_file: "/c/root.pem",
        refresh_interval: "900s",
      },
    },
    exotic: { plugin_name: "vault", config: {} },
  },
  server_listener_resource_name_template: "xds.istio.io/grpc/lds/inbound/%s",
  authorities: {},
};

const parse = (changes: object = {}) => parseBootstrap(JSON.stringify({ ...istio, ...changes }), "boot.json");
const server = (changes: object) => ({ xds_servers: [{ ...istio.xds_servers[0], ...changes }] });
const provider = (config: unknown) => ({
  certificate_providers: { default: { plugin_name: "file_watcher", config } },
});

test("a bootstrap as Istio's agent writes it is understood", () => {
  const bootstrap = parse();
  expect(bootstrap.serverUri).toBe("unix:///etc/istio/proxy/XDS");
  expect(bootstrap.credentials).toEqual({ kind: "insecure" });
  expect(bootstrap.serverListenerTemplate).toBe("xds.istio.io/grpc/lds/inbound/%s");
  expect(bootstrap.node).toMatchObject({
    id: istio.node.id,
    metadata: istio.node.metadata,
    locality: { region: "r", zone: "z", subZone: "s" },
  });
});

test("certificate providers are file watchers; others are left out", () => {
  expect([...parse().certificateProviders]).toEqual([
    [
      "default",
      {
        certificateFile: "/c/cert.pem",
        privateKeyFile: "/c/key.pem",
        caCertificateFile: "/c/root.pem",
        refreshIntervalMs: 900_000,
      },
    ],
  ]);
});

test("the client says what it is, whatever the bootstrap holds", () => {
  expect(parse({ node: { id: "n", user_agent_name: "gRPC Go" } }).node.userAgentName).toBe("weft-node");
});

test("the first supported channel credentials count", () => {
  const creds = [
    { type: "google_default" },
    { type: "tls", config: { ca_certificate_file: "/ca" } },
    { type: "insecure" },
  ];
  expect(parse(server({ channel_creds: creds })).credentials).toEqual({
    kind: "tls",
    files: { caCertificateFile: "/ca" },
  });
});

test.each<[string, object, string]>([
  ["no servers", { xds_servers: [] }, "boot.json: xds_servers is missing or empty"],
  ["servers of another kind", { xds_servers: {} }, "boot.json: xds_servers is not a list"],
  ["a server without an address", server({ server_uri: undefined }), "boot.json: xds_servers[0].server_uri is missing"],
  ["an address of another kind", server({ server_uri: 7 }), "boot.json: xds_servers[0].server_uri is not a string"],
  [
    "credentials that nobody here has",
    server({ channel_creds: [{ type: "alts" }] }),
    "boot.json: xds_servers[0].channel_creds has none of insecure, tls (it has alts)",
  ],
  [
    "a certificate without its key",
    provider({ certificate_file: "x" }),
    "boot.json: certificate_providers.default.config has only one of certificate_file and private_key_file",
  ],
  [
    "a refresh interval that is none",
    provider({ ca_certificate_file: "x", refresh_interval: "soon" }),
    'boot.json: certificate_providers.default.config.refresh_interval is no positive duration: "soon"',
  ],
  ["a node of another kind", { node: [] }, "boot.json: node is not an object"],
])("an error about %s names the file and the field", (_what, changes, message) => {
  expect(() => parse(changes)).toThrow(message);
});

test("text that is no JSON is an error with the file's name", () => {
  expect(() => parseBootstrap("{", "boot.json")).toThrow("boot.json is not JSON");
});
