import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { processControlPlane } from "./process-control-plane.ts";
import { readSettings } from "./settings.ts";

const folder = mkdtempSync(join(tmpdir(), "weft-settings-"));
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const token = `weft1.${"s".repeat(43)}.${"A".repeat(43)}`;
const joining = { WEFT_CONTROL_PLANE: "plane:15012", WEFT_TOKEN: token };
const bootstrap = JSON.stringify({ xds_servers: [{ server_uri: "plane:1", channel_creds: [{ type: "insecure" }] }] });

test("a process joins by address and token", () => {
  const { join: settings } = readSettings(joining);
  expect(settings?.server).toEqual({ host: "plane", port: 15012 });
  expect(settings?.token.text).toBe(token);
  expect(settings?.token.rootSha256).toEqual(Buffer.alloc(32));
});

test("the port defaults to 15012", () => {
  expect(readSettings({ ...joining, WEFT_CONTROL_PLANE: "plane" }).join?.server.port).toBe(15012);
});

test("a token may come from a file, with a line's end", () => {
  const path = file("token", `${token}\n`);
  expect(readSettings({ WEFT_CONTROL_PLANE: "plane", WEFT_TOKEN_FILE: path }).join?.token.text).toBe(token);
});

test("labels and the address are read", () => {
  const settings = readSettings({ ...joining, WEFT_LABELS: "app=echo, version=v1,", WEFT_ADDRESS: "10.0.0.7" });
  expect({ ...settings.labels }).toEqual({ app: "echo", version: "v1" });
  expect(settings.address).toBe("10.0.0.7");
});

test("a bootstrap file wins over a bootstrap text", () => {
  const path = file("boot.json", bootstrap);
  const settings = readSettings({ GRPC_XDS_BOOTSTRAP: path, GRPC_XDS_BOOTSTRAP_CONFIG: "nonsense" });
  expect(settings.bootstrap?.serverUri).toBe("plane:1");
});

test("a bootstrap doesn't hide what registration needs", () => {
  const settings = readSettings({ ...joining, GRPC_XDS_BOOTSTRAP_CONFIG: bootstrap, WEFT_REGISTRATION: "unix:/run/r" });
  expect(settings.join).toBeDefined();
  expect(settings.registrationSocket).toBe("/run/r");
});

test.each<[string, Record<string, string>, string]>([
  ["nothing is set", {}, "no control plane is known: set WEFT_CONTROL_PLANE"],
  ["the token is missing", { WEFT_CONTROL_PLANE: "plane" }, "WEFT_TOKEN or WEFT_TOKEN_FILE is not"],
  ["there are two tokens", { ...joining, WEFT_TOKEN_FILE: "/x" }, "are both set"],
  ["the token is none", { ...joining, WEFT_TOKEN: "secret" }, "WEFT_TOKEN holds no join token"],
  ["the token's file is missing", { WEFT_CONTROL_PLANE: "p", WEFT_TOKEN_FILE: "/nowhere" }, "WEFT_TOKEN_FILE: ENOENT"],
  ["the address is none", { ...joining, WEFT_CONTROL_PLANE: "a:b:c" }, "WEFT_CONTROL_PLANE is no host:port"],
  ["the root is missing", { ...joining, WEFT_ROOT_CERT: "/nowhere" }, "WEFT_ROOT_CERT: ENOENT"],
  ["a label is none", { ...joining, WEFT_LABELS: "app" }, 'WEFT_LABELS: "app" is no name=value'],
  ["the own address is a name", { ...joining, WEFT_ADDRESS: "host" }, "WEFT_ADDRESS is no IP address"],
  ["the registration is no socket", { ...joining, WEFT_REGISTRATION: "tcp:1" }, "WEFT_REGISTRATION is no unix:PATH"],
  ["the bootstrap is missing", { GRPC_XDS_BOOTSTRAP: "/nowhere" }, "GRPC_XDS_BOOTSTRAP: ENOENT"],
])("when %s, the error says so", (_what, env, message) => {
  expect(() => readSettings(env)).toThrow(message);
});

test("a broken token is not repeated in the error", () => {
  const broken = `${token}x`;
  expect(() => readSettings({ ...joining, WEFT_TOKEN: broken })).not.toThrow(broken);
});

test("the token leaves the environment, so that no child inherits it", async () => {
  Object.assign(process.env, { WEFT_CONTROL_PLANE: "127.0.0.1:1", WEFT_TOKEN: token });
  try {
    const controlPlane = await processControlPlane();
    expect(process.env["WEFT_TOKEN"]).toBeUndefined();
    expect(await processControlPlane()).toBe(controlPlane);
    await controlPlane.close();
  } finally {
    delete process.env["WEFT_CONTROL_PLANE"];
  }
});
