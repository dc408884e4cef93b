import { bars } from "./bars.ts";
import {
  type DemoMesh,
  type EchoProcess,
  echoTarget,
  forwardEcho,
  forwardEchoError,
  interfaceTarget,
} from "./demo-mesh.ts";
import { field, type LoadReport } from "./load.ts";

/** Where a step tells what it does and what it saw. */
export interface Narrator {
  step(title: string): void;
  explain(text: string): void;
  /** Something that the walk-through promises. Throws `BrokenPromise` where it doesn't hold. */
  check(claim: string, holds: boolean, seen?: string): void;
  show(lines: readonly string[]): void;
}

export class BrokenPromise extends Error {}

/** The processes of the walk-through, as the steps start them. */
export interface Cast {
  v1: EchoProcess;
  v2: EchoProcess;
}

export async function startAndCall(mesh: DemoMesh, narrator: Narrator): Promise<Cast> {
  narrator.step("A control plane, two versions of a service, and calls that find them");
  narrator.explain(
    "The control plane reads YAML from a directory; echo v1 and v2 join with a token and register themselves.",
  );
  await mesh.startControlPlane();
  const [v1, v2] = await Promise.all([mesh.joinEcho("v1"), mesh.joinEcho("v2")]);
  narrator.explain(`echo v1 serves on port ${v1.xdsPort}, v2 on ${v2.xdsPort}; v1 now calls ${echoTarget} five times:`);
  const output = await forwardEcho(v1, echoTarget, 5, 20);
  narrator.show(grep(output, "Hostname"));
  const versions = new Set(output.map((element) => field(element, "ServiceVersion")));
  narrator.check("five calls reach both versions", output.length === 5 && versions.has("v1") && versions.has("v2"));
  return { v1, v2 };
}

/** The most that a fair split of 1,000 calls strays from its mean: 4 standard deviations. */
export const splitTolerance = 51;

export async function splitTraffic(mesh: DemoMesh, cast: Cast, narrator: Narrator): Promise<void> {
  narrator.step("Traffic by weight: 20 to v1, 80 to v2");
  narrator.explain(
    "A DestinationRule names the versions as subsets, a VirtualService gives them weights. 1,000 calls:",
  );
  await mesh.apply("1-echo-versions.yaml", "2-echo-weights.yaml");
  const output = await forwardEcho(cast.v1, echoTarget, 1000);
  const counts = new Map<string, number>([
    ["v1", 0],
    ["v2", 0],
  ]);
  for (const element of output) {
    const version = field(element, "ServiceVersion");
    counts.set(version, (counts.get(version) ?? 0) + 1);
  }
  narrator.show(bars(counts));
  const v2 = counts.get("v2") ?? 0;
  narrator.check(`about 800 of 1,000 reach v2 (±${splitTolerance})`, Math.abs(v2 - 800) <= splitTolerance, `${v2}`);
}

export async function breakAndFixMtls(mesh: DemoMesh, cast: Cast, narrator: Narrator): Promise<void> {
  narrator.step("mTLS: asked for by the client alone it fails, on both sides it works");
  narrator.explain("A second DestinationRule says ISTIO_MUTUAL; the servers still answer in plaintext.");
  await mesh.apply("3-echo-mtls-client.yaml");
  const error = await forwardEchoError(cast.v1, echoTarget);
  narrator.show([`ERROR: ${error?.code}: ${error?.details}`]);
  narrator.check(
    "the call fails with Unavailable and says why",
    error?.code === "UNKNOWN" && /code = Unavailable/.test(error.details) && /plaintext/i.test(error.details),
  );
  narrator.explain("PeerAuthentication STRICT makes the servers speak mTLS too.");
  await mesh.apply("4-echo-mtls-server.yaml");
  const output = await forwardEcho(cast.v1, echoTarget, 10);
  const versions = [...new Set(output.map((element) => field(element, "ServiceVersion")))].sort();
  narrator.show([`${output.length} calls answered, by ${versions.join(" and ")}`]);
  const status = await mesh.weftOk("status");
  narrator.show(status.trimEnd().split("\n"));
  const identities = ["echo-v1", "echo-v2"].map((account) => `spiffe://cluster.local/ns/echo-grpc/sa/${account}`);
  narrator.check("ten calls succeed under STRICT", output.length === 10);
  narrator.check(
    "weft status shows both identities",
    identities.every((identity) => status.includes(identity)),
  );
}

const loadConcurrency = 8;

export async function callByInterface(mesh: DemoMesh, narrator: Narrator, victim: EchoProcess): Promise<void> {
  narrator.step("A call by interface, and an instance that dies");
  narrator.explain(`A second v2 joins. A client dials ${interfaceTarget}: no host, no port, still under STRICT.`);
  const second = await mesh.joinEcho("v2");
  const load = await mesh.startLoad(interfaceTarget);
  await settle(1500);
  narrator.explain(`The first v2 (pid ${victim.pid}) is killed with SIGKILL while calls are running.`);
  await victim.stop("SIGKILL");
  await settle(1500);
  const report = await load.stop();
  show(report, narrator);
  const failed = sum(report.failures);
  const lost = Object.keys(report.failures).every((text) => text.includes(`:${victim.xdsPort}`));
  narrator.check("both v2 instances were called", Object.keys(report.byHostname).length === 3);
  narrator.check(
    `at most the ${loadConcurrency} calls in flight on the killed instance fail`,
    failed <= loadConcurrency && lost,
    JSON.stringify(report.failures),
  );
  narrator.check(
    "the second v2 took over",
    Object.keys(report.byHostname).some((name) => name.endsWith(`-${second.pid}`)),
  );
}

export async function loseControlPlane(mesh: DemoMesh, narrator: Narrator): Promise<void> {
  narrator.step("The control plane dies and comes back");
  narrator.explain("Calls go straight from process to process; the last good configuration stays with each of them.");
  const load = await mesh.startLoad(echoTarget);
  await settle(1000);
  await mesh.controlPlane.stop("SIGKILL");
  narrator.explain("killed; calls go on");
  await settle(1500);
  await mesh.startControlPlane();
  narrator.explain("started again; clients reconnect, nothing is withdrawn");
  await settle(1500);
  const report = await load.stop();
  show(report, narrator);
  narrator.check("no call failed before, during or after", sum(report.failures) === 0, JSON.stringify(report.failures));
  narrator.check("calls ran all the time", report.calls > 100);
}

function show(report: LoadReport, narrator: Narrator): void {
  narrator.show([
    `${report.calls} calls, ${sum(report.failures)} failed`,
    ...bars(new Map(Object.entries(report.byHostname))),
    ...Object.entries(report.failures).map(([text, times]) => `${times} × ${text}`),
  ]);
}

/** Traffic needs wall-clock time to be traffic: this is the length of a stretch of load, not a wait for something. */
function settle(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

function grep(output: readonly string[], text: string): string[] {
  return output.flatMap((element) => element.split("\n").filter((line) => line.includes(text)));
}
