import { spawnSync } from "node:child_process";
import { type EchoRequest, EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { expect, test } from "vitest";
import { processControlPlane } from "./control-plane/process-control-plane.ts";
import { createClient, createServer, insecure, xdsChannelCredentials } from "./index.ts";
import { lds, startControlPlane } from "./xds/testing/control-plane.ts";
import { any, cluster, endpoints, listener, routeConfiguration, serverListener } from "./xds/testing/resources.ts";

/** The modules that a fresh process loads for `import "./index.ts"`. */
function loadedModules(): string[] {
  const script = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)});
    console.log(JSON.stringify(loaded));
  `;
  const flags = ["--conditions=@weft/source", "--input-type=module", "--eval", script];
  const { stdout, stderr } = spawnSync(process.execPath, flags, { encoding: "utf8" });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

test("importing the package loads nothing of grpc-js, protobuf, xDS, regular expressions or X.509", () => {
  const heavy = /@grpc\/grpc-js|@bufbuild|\/gen\/|\/xds\/|control-plane\/|re2js|x509|reflect-metadata/;
  const modules = loadedModules();
  expect(modules.length).toBeGreaterThan(10);
  expect(modules.filter((url) => heavy.test(url))).toEqual([]);
});

test("a server and a client find each other through the control plane that the environment names", async () => {
  await using control = await startControlPlane();
  process.env["GRPC_XDS_BOOTSTRAP_CONFIG"] = JSON.stringify({
    xds_servers: [{ server_uri: control.address, channel_creds: [{ type: "insecure" }] }],
    node: { id: "test", locality: {} },
    server_listener_resource_name_template: "inbound/%s",
  });
  await using server = createServer({ xds: true });
  server.add(EchoTestServiceDefinition, {
    echo: async ({ message }: EchoRequest) => ({ message }),
    forwardEcho: async () => ({ output: [] }),
  });
  const listening = server.listen("127.0.0.1:0");
  await control.until(() => control.asked(lds).length > 0);
  const [name = ""] = control.asked(lds);
  const port = Number(name.split(":").at(-1));
  control.set(
    any.listener(serverListener(name, { port })),
    any.listener(listener("echo", "routes")),
    any.routes(routeConfiguration("routes", "echo-cluster")),
    any.cluster(cluster("echo-cluster")),
    any.endpoints(endpoints("echo-cluster", port)),
  );
  expect((await listening).port).toBe(port);
  const credentials = xdsChannelCredentials(insecure);
  await using client = createClient(EchoTestServiceDefinition, "xds:///echo", { credentials });
  expect(await client.echo({ message: "found" }, { timeoutMs: 5_000 })).toEqual({ message: "found" });
  const controlPlane = await processControlPlane();
  await controlPlane.close();
});

test("credentials that are not xDS's can't be combined with xds", () => {
  expect(() => createServer({ xds: true, credentials: insecure })).toThrow(/xdsServerCredentials/);
});
