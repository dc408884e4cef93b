import { execFile } from "node:child_process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DemoMesh, type EchoProcess } from "../../../packages/mesh/src/demo/demo-mesh.ts";
import { grpcurlProgram } from "./environment.ts";

// In the order of the guides: each step stands on what those before it applied.
let program: string;
let mesh: DemoMesh;
let v1: EchoProcess;
let v2: EchoProcess;

beforeAll(async () => {
  program = grpcurlProgram();
  mesh = new DemoMesh();
  await mesh.startControlPlane();
  [v1, v2] = await Promise.all([mesh.joinEcho("v1"), mesh.joinEcho("v2")]);
});

afterAll(async () => {
  await mesh?.close();
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function grpcurl(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(program, ["-plaintext", ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

async function grpcurlOk(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await grpcurl(...args);
  expect(code, stderr).toBe(0);
  return stdout;
}

const url = `"url": "xds:///echo.echo-grpc.svc.cluster.local:7070"`;

/** The guides' `grpcurl -plaintext -d … :17171 proto.EchoTestService/ForwardEcho | jq -r '.output | join("")' | grep <text>`. */
async function forwardEcho(request: string, text: string): Promise<string[]> {
  const answer = await grpcurlOk("-d", request, `:${v1.grpcPort}`, "proto.EchoTestService/ForwardEcho");
  const { output } = JSON.parse(answer) as { readonly output: readonly string[] };
  return output
    .join("")
    .split("\n")
    .filter((line) => line.includes(text));
}

test("lists an echo's services", async () => {
  expect((await grpcurlOk(`:${v1.grpcPort}`, "list")).trim().split("\n")).toEqual([
    "grpc.channelz.v1.Channelz",
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "proto.EchoTestService",
  ]);
});

test("describes a service, a method and a message", async () => {
  const describe = async (name: string) => await grpcurlOk(`:${v1.grpcPort}`, "describe", name);
  expect(await describe("proto.EchoTestService")).toContain(
    "rpc ForwardEcho ( .proto.ForwardEchoRequest ) returns ( .proto.ForwardEchoResponse );",
  );
  expect(await describe("proto.EchoTestService.Echo")).toContain("rpc Echo ( .proto.EchoRequest )");
  expect(await describe("proto.ForwardEchoRequest")).toContain("string url = 4;");
  expect(await describe("grpc.channelz.v1.Socket")).toContain("grpc.channelz.v1.SocketData data = 2;");
});

test("describes everything at once", async () => {
  expect(await grpcurlOk(`:${v1.grpcPort}`, "describe")).toContain("service ServerReflection");
});

test("a name that nothing has is reported as not found", async () => {
  const { code, stderr } = await grpcurl(`:${v1.grpcPort}`, "describe", "proto.None");
  expect(code).not.toBe(0);
  expect(stderr).toContain("Symbol not found: proto.None");
});

test("five calls without any rule reach both versions", async () => {
  const lines = await forwardEcho(`{${url}, "count": 5}`, "Hostname");
  expect(lines).toHaveLength(5);
  const hostnames = new Set(lines.map((line) => line.replace(/^\[\d+ body\] Hostname=/, "")));
  expect([...hostnames].map((name) => Number(name.split("-").at(-1))).sort()).toEqual([v1.pid, v2.pid].sort());
});

test("with weights of 20 and 80, calls reach v2 mostly", async () => {
  await mesh.apply("1-echo-versions.yaml", "2-echo-weights.yaml");
  let ofV2 = 0;
  for (let run = 0; run < 10; run++) {
    const lines = await forwardEcho(`{${url}, "count": 10}`, "ServiceVersion");
    expect(lines).toHaveLength(10);
    ofV2 += lines.filter((line) => line.endsWith("ServiceVersion=v2")).length;
  }
  // 4 standard deviations about 80 of 100.
  expect(Math.abs(ofV2 - 80)).toBeLessThanOrEqual(16);
});

test("with mTLS on the client only, ForwardEcho fails and says why", async () => {
  await mesh.apply("3-echo-mtls-client.yaml");
  const { code, stderr } = await grpcurl("-d", `{${url}}`, `:${v1.grpcPort}`, "proto.EchoTestService/ForwardEcho");
  expect(code).not.toBe(0);
  expect(stderr).toContain("Code: Unknown");
  expect(stderr).toContain("Message: 1/1 requests had errors; first error: rpc error: code = Unavailable desc = ");
});

test("with mTLS on both sides, the whole output is back", async () => {
  await mesh.apply("4-echo-mtls-server.yaml");
  const lines = await forwardEcho(`{${url}}`, "[0 body] ");
  for (const field of [
    "Host=",
    "StatusCode=200",
    "ServiceVersion=v",
    "ServicePort=",
    "IP=",
    "Proto=GRPC",
    "Hostname=",
  ]) {
    expect(lines.filter((line) => line.startsWith(`[0 body] ${field}`))).toHaveLength(1);
  }
});

test("an echo's health can be asked for", async () => {
  const check = async (service: string) =>
    await grpcurl("-d", JSON.stringify({ service }), `:${v1.grpcPort}`, "grpc.health.v1.Health/Check");
  expect(JSON.parse((await check("")).stdout)).toEqual({ status: "SERVING" });
  expect((await check("none.Such")).stderr).toContain("Code: NotFound");
});

test("channelz shows the servers and the channel to the control plane", async () => {
  const call = async (method: string) =>
    JSON.parse(await grpcurlOk(`:${v1.grpcPort}`, `grpc.channelz.v1.Channelz/${method}`)) as Record<string, object[]>;
  const ready = { data: { state: { state: "READY" }, callsStarted: expect.stringMatching(/^[1-9]/) } };
  expect((await call("GetServers"))["server"]).toHaveLength(2);
  expect((await call("GetTopChannels"))["channel"]).toContainEqual(
    expect.objectContaining({ data: expect.objectContaining(ready.data) }),
  );
});
