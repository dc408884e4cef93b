// The transport against its peers: client pinned to one core, server to the other, one connection unless a row says
// otherwise, medians of interleaved repeats. `--only id,id` measures some rows.
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Row, report, rowOf } from "../report.ts";
import { writeCertificates } from "./certificates.ts";
import { goProgram } from "./go-program.ts";
import { measure, type Setting } from "./measure.ts";
import { canPin } from "./processes.ts";
import { type RowPlan, rowPlans } from "./rows.ts";
import { type Figures, type Run, runKey, type StackName, type Window } from "./workload.ts";

const { values: options } = parseArgs({
  options: { quick: { type: "boolean" }, json: { type: "boolean" }, only: { type: "string" } },
});
/** When the whole command began, its build included. */
const startedAtMs = Number(process.env["BENCH_STARTED_AT_MS"] ?? Date.now() - performance.now());
const quick = options.quick === true;
const repeats = quick ? 1 : 3;
/** `--quick` ends within 45 s: nothing more is begun after this. */
const quickBudgetMs = 40_000;

const only = options.only?.split(",");
const unknown = only?.find((id) => !rowPlans.some((plan) => plan.id === id));
if (unknown !== undefined) {
  console.error(`there is no row ${unknown}: ${rowPlans.map((plan) => plan.id).join(", ")}`);
  process.exit(2);
}
const plans = rowPlans.filter((plan) => only?.includes(plan.id) ?? (!quick || plan.quick === true));

const go = goProgram(!quick);
const grpcJsVersion: string = createRequire(import.meta.url)("@grpc/grpc-js/package.json").version;

function versionOf(peer: StackName): string {
  if (peer === "grpc-js") return ` (grpc-js ${grpcJsVersion})`;
  return peer === "grpc-go" && go.kind === "built" ? ` (${go.versions})` : "";
}

/** What each run found in each round, or why it found nothing. */
const found = new Map<string, Figures[]>();
const failed = new Map<string, string>();

function windowOf(run: Run): Window {
  if (run.workload.kind === "soak") return { warmupMs: 0, durationMs: 60_000 };
  // As gRPC's own benchmarks warm up: with less, compiling is still a good part of what is measured, in each stack of Node.
  return quick ? { warmupMs: 500, durationMs: 1000 } : { warmupMs: 5000, durationMs: 3000 };
}

function needsGo(run: Run): boolean {
  return run.client === "grpc-go" || run.server === "grpc-go";
}

async function runOnce(run: Run, setting: Setting): Promise<void> {
  const key = runKey(run);
  if (failed.has(key)) return;
  if (needsGo(run) && go.kind === "missing") {
    failed.set(key, go.why);
    return;
  }
  try {
    const figures = await measure(run, setting, windowOf(run));
    found.set(key, [...(found.get(key) ?? []), figures]);
  } catch (error) {
    failed.set(key, error instanceof Error ? error.message : String(error));
  }
}

function runsOf(plan: RowPlan): Run[] {
  return [plan.ours, ...plan.peers.map((peer) => peer.run)];
}

const runs = [...new Map(plans.flatMap(runsOf).map((run) => [runKey(run), run])).values()];
const certificates = mkdtempSync(join(tmpdir(), "weft-bench-"));
const loadBefore = loadavg()[0]?.toFixed(2);
try {
  await writeCertificates(certificates);
  const setting: Setting = { certificates, goProgram: go.kind === "built" ? go.path : undefined };
  for (let round = 0; round < repeats; round++) {
    for (const [index, run] of runs.entries()) {
      if (quick && only === undefined && Date.now() - startedAtMs > quickBudgetMs) break;
      if (round > 0 && run.workload.kind === "soak") continue;
      if (process.stderr.isTTY) {
        process.stderr.write(`\rround ${round + 1}/${repeats}, run ${index + 1}/${runs.length} `);
      }
      await runOnce(run, setting);
    }
  }
} finally {
  rmSync(certificates, { recursive: true });
}

const rows: Row[] = [];
const leftOut = rowPlans.filter((plan) => !plans.includes(plan)).map((plan) => plan.id);
const unmeasured: string[] = [];
for (const { id, what, figure, unit, ours, peers } of plans) {
  for (const { name, run, bar } of peers) {
    const values = (of: Run) => (found.get(runKey(of)) ?? []).flatMap((figures) => figures[figure] ?? []);
    const [own, theirs] = [values(ours), values(run)];
    if (own.length > 0 && theirs.length > 0) {
      rows.push(rowOf({ id, what: what + versionOf(name), peerName: name, unit, bar }, own, theirs));
      continue;
    }
    const why = failed.get(runKey(ours)) ?? failed.get(runKey(run)) ?? "no time was left";
    if (quick && !failed.has(runKey(ours)) && (!failed.has(runKey(run)) || needsGo(run))) {
      leftOut.push(`${id} against ${name} (${why})`);
    } else {
      unmeasured.push(`${id} against ${name}: ${why}`);
    }
  }
}

const pinning = canPin ? "client and server pinned to a core each" : "NOT pinned: no taskset or no second core";
console.log(`${pinning}; ${repeats} repeats; load average ${loadBefore} before, ${loadavg()[0]?.toFixed(2)} after`);
console.log(`peers: grpc-js ${grpcJsVersion}; ${go.kind === "built" ? go.versions : `no grpc-go: ${go.why}`}`);
process.exitCode = report("transport", { rows, leftOut, unmeasured, json: options.json === true });
