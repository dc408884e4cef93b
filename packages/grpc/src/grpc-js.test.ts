import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as original from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { processControlPlane } from "./control-plane/process-control-plane.ts";
import { bytesService } from "./grpc-js/testing/bytes-service.ts";
import * as ours from "./grpc-js.ts";
import { createTestAuthority } from "./identity/testing/certificates.ts";
import { lds, startControlPlane } from "./xds/testing/control-plane.ts";
import {
  any,
  cluster,
  downstreamTls,
  endpoints,
  listener,
  routeConfiguration,
  serverListener,
  upstreamTls,
} from "./xds/testing/resources.ts";

const workload = "spiffe://cluster.local/ns/echo/sa/echo";

/** A process's certificate as files, the way an agent leaves them, and the bootstrap that names them. */
async function bootstrap(folder: string, controlPlane: string): Promise<object> {
  const { privateKeyPem, certificateChainPem, rootsPem } = await (await createTestAuthority()).issue({
    uris: [workload],
  });
  const files = {
    private_key_file: privateKeyPem,
    certificate_file: certificateChainPem,
    ca_certificate_file: rootsPem,
  };
  const config: Record<string, string> = {};
  for (const [name, pem] of Object.entries(files)) {
    config[name] = join(folder, name);
    await writeFile(config[name], pem);
  }
  return {
    xds_servers: [{ server_uri: controlPlane, channel_creds: [{ type: "insecure" }] }],
    node: { id: "test", locality: {} },
    server_listener_resource_name_template: "inbound/%s",
    certificate_providers: { default: { plugin_name: "file_watcher", config } },
  };
}

test("everything that grpc-js exports is here", () => {
  expect(Object.keys(ours)).toEqual(expect.arrayContaining(Object.keys(original)));
});

test("what carries calls is ours", () => {
  const own = new Map<string, unknown>(Object.entries(ours));
  const replaced = Object.entries(original).flatMap(([name, value]) => (own.get(name) === value ? [] : [name]));
  expect(replaced.sort()).toEqual([
    "Channel",
    "Client",
    "Server",
    "addAdminServicesToServer",
    "getChannelzHandlers",
    "loadPackageDefinition",
    "makeClientConstructor",
    "makeGenericClientConstructor",
  ]);
});

test("unchanged stubs and handlers find each other in a mesh, and mTLS turns on and off under them", async () => {
  await using control = await startControlPlane();
  const folder = await mkdtemp(join(tmpdir(), "weft-"));
  process.env["GRPC_XDS_BOOTSTRAP_CONFIG"] = JSON.stringify(await bootstrap(folder, control.address));

  const server = new ours.Server();
  server.addService(bytesService, {
    unary(call: ours.ServerUnaryCall<Buffer, Buffer>, respond: ours.sendUnaryData<Buffer>) {
      respond(null, Buffer.from(call.getAuthContext().sslPeerCertificate?.subjectaltname ?? "anonymous"));
    },
  });
  const bound = Promise.withResolvers<number>();
  server.bindAsync(
    "127.0.0.1:0",
    new ours.XdsServerCredentials(ours.ServerCredentials.createInsecure()),
    (error, port) => (error === null ? bound.resolve(port) : bound.reject(error)),
  );
  await control.until(() => control.asked(lds).length > 0);
  const [name = ""] = control.asked(lds);
  const port = Number(name.split(":").at(-1));
  const secure = (isOn: boolean) =>
    control.set(
      any.listener(serverListener(name, { port, ...(isOn ? { transportSocket: downstreamTls() } : {}) })),
      any.cluster(cluster("echo", isOn ? { transportSocket: upstreamTls([workload]) } : {})),
    );
  secure(false);
  control.set(
    any.listener(listener("echo", "routes")),
    any.routes(routeConfiguration("routes", "echo")),
    any.endpoints(endpoints("echo", port)),
  );
  expect(await bound.promise).toBe(port);

  const Stub = ours.makeClientConstructor(bytesService, "Bytes");
  const stub = new Stub("xds:///echo", new ours.XdsChannelCredentials(ours.credentials.createInsecure()));
  const call = () =>
    new Promise<string>((resolve) => {
      const deadline = Date.now() + 5000;
      stub["unary"]!(
        Buffer.of(),
        new ours.Metadata(),
        { deadline },
        (error: ours.ServiceError | null, reply: Buffer | undefined) =>
          resolve(error === null ? String(reply) : `${error.code} ${error.details}`),
      );
    });
  expect(await call()).toBe("anonymous");
  secure(true);
  await expect.poll(call).toBe(`URI:${workload}`);
  secure(false);
  await expect.poll(call).toBe("anonymous");

  stub.close();
  await new Promise<void>((resolve) => {
    server.tryShutdown(() => resolve());
  });
  await (await processControlPlane()).close();
  await rm(folder, { recursive: true });
});
