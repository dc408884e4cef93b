import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { type EchoRequest, EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { expect, test } from "vitest";
import { createServer } from "../server/server.ts";
import { startControlPlane } from "./testing/control-plane.ts";
import { any, cluster, endpoints, listener, routeConfiguration } from "./testing/resources.ts";

test("a client of an xds target that is never closed lets the process end", async () => {
  await using control = await startControlPlane();
  await using server = createServer();
  server.add(EchoTestServiceDefinition, {
    echo: async ({ message }: EchoRequest) => ({ message }),
    forwardEcho: async () => ({ output: [] }),
  });
  const { port } = await server.listen("127.0.0.1:0");
  control.set(
    any.listener(listener("echo", "routes")),
    any.routes(routeConfiguration("routes", "a")),
    any.cluster(cluster("a")),
    any.endpoints(endpoints("a", port)),
  );
  const script = `
    import { createClient } from ${JSON.stringify(new URL("../index.ts", import.meta.url).href)};
    import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
    const client = createClient(EchoTestServiceDefinition, "xds:///echo");
    console.log((await client.echo({ message: "done" }, { timeoutMs: 60000 })).message);
  `;
  const bootstrap = {
    xds_servers: [{ server_uri: control.address, channel_creds: [{ type: "insecure" }] }],
    node: { id: "test", locality: {} },
  };
  const node = ["--conditions=@weft/source", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, node, {
    cwd: import.meta.dirname,
    timeout: 20_000,
    env: { ...process.env, GRPC_XDS_BOOTSTRAP_CONFIG: JSON.stringify(bootstrap) },
  });
  expect(stdout).toBe("done\n");
});
