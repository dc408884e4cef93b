import type { Figures, Window } from "./workload.ts";

const sampleLimit = 4_000_000;

/** Counts what happens within the window, and keeps the latencies of the last 4 million. */
export class Recorder {
  private readonly latenciesMs: Float64Array;
  private measuring = false;
  private count = 0;

  /** Without `latencies` none are kept: a run that looks at memory must not fill its own. */
  constructor(latencies: boolean) {
    this.latenciesMs = new Float64Array(latencies ? sampleLimit : 0);
  }

  add(sinceMs: number): void {
    if (!this.measuring) return;
    if (this.latenciesMs.length > 0) this.latenciesMs[this.count % sampleLimit] = performance.now() - sinceMs;
    this.count++;
  }

  addMessage(): void {
    if (this.measuring) this.count++;
  }

  /**
   * Lets the warm-up pass, watches the window and returns what came in it.
   *
   * Prints `begin` and `end`, at which the server's own figures are read.
   */
  async watch({ warmupMs, durationMs }: Window): Promise<Figures & { readonly calls: number }> {
    await after(warmupMs);
    console.log("begin");
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    this.measuring = true;
    await after(durationMs);
    this.measuring = false;
    const seconds = (performance.now() - startedAt) / 1000;
    const { user, system } = process.cpuUsage(cpuBefore);
    console.log("end");
    const calls = this.count;
    if (calls === 0) throw new Error("nothing came back within the window");
    const sorted = this.latenciesMs.subarray(0, Math.min(calls, this.latenciesMs.length)).sort();
    const quantileUs = (quantile: number) => (sorted[Math.floor(sorted.length * quantile)] ?? Number.NaN) * 1000;
    const latencies = sorted.length === 0 ? {} : { p50Us: quantileUs(0.5), p99Us: quantileUs(0.99) };
    return { calls, perSecond: calls / seconds, clientCpuUs: (user + system) / calls, ...latencies };
  }
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
