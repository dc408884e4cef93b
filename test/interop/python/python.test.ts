import { createServer as createNetServer } from "node:net";
import { join } from "node:path";
import { createServer, insecure, xdsServerCredentials } from "@weft/grpc";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DemoMesh, echoTarget } from "../../../packages/mesh/src/demo/demo-mesh.ts";
import type { LoadReport } from "../../../packages/mesh/src/demo/load.ts";
import { splitTolerance } from "../../../packages/mesh/src/demo/steps.ts";
import { type PythonEnvironment, pythonEnvironment } from "./environment.ts";

const programs = import.meta.dirname;
const pyecho = "xds:///pyecho.echo-grpc.svc.cluster.local:7070";

let python: PythonEnvironment;
let mesh: DemoMesh;

beforeAll(async () => {
  python = pythonEnvironment();
  mesh = new DemoMesh();
  await mesh.startControlPlane();
  await Promise.all([mesh.joinEcho("v1"), mesh.joinEcho("v2")]);
  await mesh.weftOk("apply", "-f", join(programs, "pyecho.yaml"));
  await mesh.apply("1-echo-versions.yaml", "2-echo-weights.yaml");
});

afterAll(async () => {
  await mesh?.close();
});

/** Runs the unmodified client under `weft run`; how often each version answered. */
async function clientCounts(target: string, calls: number): Promise<Record<string, number>> {
  const env = { ...(await mesh.joinEnvironment("python-client")), ECHO_DESCRIPTORS: python.descriptors };
  const command = [python.python, join(programs, "client.py"), target, String(calls)];
  const finished = await mesh.processes.run(["run", "--", ...command], { env });
  expect(finished.code, finished.stderr).toBe(0);
  return JSON.parse(finished.stdout.trim().split("\n").at(-1) ?? "") as Record<string, number>;
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createNetServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Starts the unmodified server under `weft run`, which registers it. */
async function startPythonServer(): Promise<void> {
  const port = await freePort();
  const env = { ...(await mesh.joinEnvironment("python-server", "app=pyecho")), ECHO_DESCRIPTORS: python.descriptors };
  const flags = ["--port", `grpc=${port}`];
  const command = [python.python, join(programs, "server.py"), `127.0.0.1:${port}`];
  await mesh.processes.start(["run", ...flags, "--", ...command], { env, name: "python server" });
}

/** A short stretch of our client's calls. */
async function ourCallsTo(target: string): Promise<LoadReport> {
  const load = await mesh.startLoad(target);
  await new Promise((resolve) => setTimeout(resolve, 1500));
  return await load.stop();
}

test("a grpcio client's 1,000 calls split 80/20 in plaintext", async () => {
  const counts = await clientCounts(echoTarget, 1000);
  expect(Math.abs((counts["v2"] ?? 0) - 800)).toBeLessThanOrEqual(splitTolerance);
  expect((counts["v1"] ?? 0) + (counts["v2"] ?? 0)).toBe(1000);
});

test("our client calls a grpcio server in plaintext", async () => {
  await startPythonServer();
  const report = await ourCallsTo(pyecho);
  expect(report.failures).toEqual({});
  expect(report.byVersion["python"]).toBeGreaterThan(10);
});

test("a grpcio client's 1,000 calls split 80/20 under STRICT", async () => {
  await mesh.apply("3-echo-mtls-client.yaml", "4-echo-mtls-server.yaml");
  const counts = await clientCounts(echoTarget, 1000);
  expect(Math.abs((counts["v2"] ?? 0) - 800)).toBeLessThanOrEqual(splitTolerance);
});

test("our client calls a grpcio server under STRICT, which sees who it is", async () => {
  await mesh.weftOk("apply", "--wait", "-f", join(programs, "pyecho-mtls.yaml"));
  const report = await ourCallsTo(pyecho);
  expect(report.failures).toEqual({});
  expect(report.byVersion["python"]).toBeGreaterThan(10);
  expect(report.sample).toContain("Auth=transport_security_type:tls");
  expect(report.sample).toContain("Auth=peer_spiffe_id:spiffe://cluster.local/ns/echo-grpc/sa/load");
});

test("our server sees who a grpcio client is under STRICT", async () => {
  await mesh.weftOk("apply", "-f", join(programs, "witness.yaml"));
  Object.assign(process.env, await mesh.joinEnvironment("witness", "app=witness"));
  await using witness = createServer({ xds: true, credentials: xdsServerCredentials(insecure) });
  witness.add(EchoTestServiceDefinition, {
    // What the client counts is who it was to us.
    echo: async (_, { peer }) => ({ message: `ServiceVersion=${peer.identity?.uri}\n` }),
    forwardEcho: async () => ({ output: [] }),
  });
  await witness.listen("127.0.0.1:0");
  const counts = await clientCounts("xds:///witness.echo-grpc.svc.cluster.local:7070", 10);
  expect(counts).toEqual({ "spiffe://cluster.local/ns/echo-grpc/sa/python-client": 10 });
});
