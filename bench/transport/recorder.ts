import { setTimeout as after } from "node:timers/promises";
import type { Figures, Window } from "./workload.ts";

const sampleLimit = 4_000_000;

/**
 * Counts what happens within the window, and keeps the latencies of the last 4 million.
 *
 * It does in the warm-up what it does in the window: a branch first taken as the window begins would have V8 throw away and compile
 * again the code around it, callers and all, and that would be a part of what is measured.
 */
export class Recorder {
  private readonly latenciesMs: Float64Array;
  private count = 0;

  /** Without `latencies` none are kept: a run that looks at memory must not fill its own. */
  constructor(latencies: boolean) {
    this.latenciesMs = new Float64Array(latencies ? sampleLimit : 0);
  }

  /** How many there were, since the window began if it did. */
  get calls(): number {
    return this.count;
  }

  add(sinceMs: number): void {
    if (this.latenciesMs.length > 0) this.latenciesMs[this.count % sampleLimit] = performance.now() - sinceMs;
    this.count++;
  }

  addMessage(): void {
    this.count++;
  }

  /**
   * Lets the warm-up pass, watches the window and returns what came in it.
   *
   * Prints `begin` and `end`, at which the server's own figures are read, and `rehearsal` within the warm-up: to talk for the
   * first time has V8 compile anew what reads and writes sockets.
   */
  async watch({ warmupMs, durationMs }: Window): Promise<Figures & { readonly calls: number }> {
    await after(warmupMs / 2);
    console.log("rehearsal");
    await after(warmupMs / 2);
    console.log("begin");
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    this.count = 0;
    await after(durationMs);
    const calls = this.count;
    const seconds = (performance.now() - startedAt) / 1000;
    const { user, system } = process.cpuUsage(cpuBefore);
    console.log("end");
    if (calls === 0) throw new Error("nothing came back within the window");
    const sorted = this.latenciesMs.subarray(0, Math.min(calls, this.latenciesMs.length)).sort();
    const quantileUs = (quantile: number) => (sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN) * 1000;
    const latencies = sorted.length === 0 ? {} : { p50Us: quantileUs(0.5), p99Us: quantileUs(0.99) };
    return { calls, perSecond: calls / seconds, clientCpuUs: (user + system) / calls, ...latencies };
  }
}
