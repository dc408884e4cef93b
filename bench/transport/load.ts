import type { Caller } from "./stack.ts";

export interface Measured {
  readonly calls: number;
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU of this process, user and system, per call. */
  readonly cpuUsPerCall: number;
}

const sampleLimit = 4_000_000;

/**
 * A closed loop: `inFlight` calls are always open, for `warmupMs` unmeasured and then `durationMs` measured.
 *
 * Rejects at the first call that fails: a bench of errors is no bench.
 */
export function closedLoop(caller: Caller, inFlight: number, warmupMs: number, durationMs: number): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const latenciesUs = new Float64Array(sampleLimit);
    let calls = 0;
    let measuring = false;
    let stopped = false;
    let startedAt = 0;
    let cpu = process.cpuUsage();

    const issue = (): void => {
      const sentAt = performance.now();
      caller.call((error) => {
        if (error !== null) {
          stopped = true;
          reject(error);
          return;
        }
        if (measuring) {
          latenciesUs[calls % sampleLimit] = (performance.now() - sentAt) * 1000;
          calls++;
        }
        if (!stopped) issue();
      });
    };
    for (let i = 0; i < inFlight; i++) issue();

    setTimeout(() => {
      measuring = true;
      startedAt = performance.now();
      cpu = process.cpuUsage();
    }, warmupMs);
    setTimeout(() => {
      const seconds = (performance.now() - startedAt) / 1000;
      const { user, system } = process.cpuUsage(cpu);
      measuring = false;
      stopped = true;
      const sorted = latenciesUs.subarray(0, Math.min(calls, sampleLimit)).sort();
      resolve({
        calls,
        seconds,
        requestsPerSecond: calls / seconds,
        p50Us: sorted[Math.floor(sorted.length * 0.5)] ?? Number.NaN,
        p99Us: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
        cpuUsPerCall: (user + system) / calls,
      });
    }, warmupMs + durationMs);
  });
}
