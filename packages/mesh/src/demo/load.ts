import { createClient, insecure, RpcError, xdsChannelCredentials } from "@weft/grpc";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";

/** What a stretch of steady load saw. */
export interface LoadReport {
  readonly calls: number;
  /** Answers by the instance that gave them. */
  readonly byHostname: Readonly<Record<string, number>>;
  readonly byVersion: Readonly<Record<string, number>>;
  /** One answer, as it came; empty where there was none. */
  readonly sample: string;
  /** Error texts of calls that failed, with how often. */
  readonly failures: Readonly<Record<string, number>>;
}

const pauseMs = 2;

/**
 * Calls Echo on `target` from `concurrency` loops, each with a short pause between calls, until `signal` aborts; then
 * lets the open calls end and reports.
 */
export async function steadyLoad(target: string, concurrency: number, signal: AbortSignal): Promise<LoadReport> {
  const tally = { calls: 0, byHostname: {}, byVersion: {}, sample: "", failures: {} } satisfies LoadReport;
  await using client = createClient(EchoTestServiceDefinition, target, {
    credentials: xdsChannelCredentials(insecure),
  });
  const loop = async (): Promise<void> => {
    while (!signal.aborted) {
      tally.calls++;
      try {
        const reply = await client.echo({ message: "load" }, { timeoutMs: 10_000 });
        tally.sample = reply.message;
        count(tally.byHostname, field(reply.message, "Hostname"));
        count(tally.byVersion, field(reply.message, "ServiceVersion"));
      } catch (error) {
        count(tally.failures, error instanceof RpcError ? `${error.code}: ${error.details}` : String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return tally;
}

/** The value of `name=` in an echo answer. */
export function field(answer: string, name: string): string {
  return new RegExp(`\\b${name}=(.*)`).exec(answer)?.[1] ?? "";
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}
