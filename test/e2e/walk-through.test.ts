import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DemoMesh, echoTarget, forwardEcho } from "../../packages/mesh/src/demo/demo-mesh.ts";
import { field } from "../../packages/mesh/src/demo/load.ts";
import {
  breakAndFixMtls,
  type Cast,
  callByInterface,
  loseControlPlane,
  type Narrator,
  splitTraffic,
  startAndCall,
} from "../../packages/mesh/src/demo/steps.ts";

/** Collects what a step promises; a promise that doesn't hold fails the test. */
const checking: Narrator = {
  step: () => undefined,
  explain: () => undefined,
  show: () => undefined,
  check: (claim, holds, seen) => expect(holds, `${claim}${seen === undefined ? "" : `; seen: ${seen}`}`).toBe(true),
};

describe("the walk-through, on one mesh", () => {
  let mesh: DemoMesh;
  let cast: Cast;

  beforeAll(() => {
    mesh = new DemoMesh();
  });
  afterAll(async () => {
    await mesh.close();
  });

  test("calls find both versions", async () => {
    cast = await startAndCall(mesh, checking);
  });
  test("weights split the traffic", async () => {
    await splitTraffic(mesh, cast, checking);
  });
  test("a bad document gives a diagnostic with its place and leaves everything else in force", async () => {
    const file = join(mesh.config, "bad.yaml");
    const text =
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: broken\nspec:\n  hots: [echo]\n";
    const refused = await mesh.processes.run(["apply", "-f", "-", "--data", mesh.data], { stdin: text });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/:6:3: error WEFT\d{4}/);
    writeFileSync(file, text);
    const output = await forwardEcho(cast.v1, echoTarget, 100);
    const v2 = output.filter((element) => field(element, "ServiceVersion") === "v2").length;
    expect(v2).toBeGreaterThan(60);
  });
  test("mTLS fails on one side and works on both", async () => {
    await breakAndFixMtls(mesh, cast, checking);
  });
  test("an interface is called without host or port, and outlives an instance", async () => {
    await callByInterface(mesh, checking, cast.v2);
  });
  test("no call fails while the control plane is away", async () => {
    await loseControlPlane(mesh, checking);
  });
});

describe("order of events", () => {
  let mesh: DemoMesh;

  beforeAll(async () => {
    mesh = new DemoMesh();
    await mesh.startControlPlane();
  });
  afterAll(async () => {
    await mesh.close();
  });

  test("what is applied before clients connect holds when they do, and survives kill -9 of the control plane", async () => {
    await mesh.weftOk("apply", "-f", "packages/mesh/documents/1-echo-versions.yaml");
    await mesh.weftOk("apply", "-f", "packages/mesh/documents/2-echo-weights.yaml");
    const before = await mesh.weftOk("get", "virtualservice", "-o", "json");
    await mesh.controlPlane.stop("SIGKILL");
    await mesh.startControlPlane();
    expect(await mesh.weftOk("get", "virtualservice", "-o", "json")).toBe(before);
    const [v1] = await Promise.all([mesh.joinEcho("v1"), mesh.joinEcho("v2")]);
    const output = await forwardEcho(v1, echoTarget, 200);
    const v2 = output.filter((element) => field(element, "ServiceVersion") === "v2").length;
    expect(v2).toBeGreaterThan(130);
  });
});
