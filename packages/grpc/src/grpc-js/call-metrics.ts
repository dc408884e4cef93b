import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { OrcaLoadReport } from "@weft/xds-api/xds/data/orca/v3/orca_load_report";

type Recorder = ReturnType<ServerInterceptingCallInterface["getMetricsRecorder"]>;
type Encoder = (report: Partial<OrcaLoadReport>) => Uint8Array;

/** Set by `loadMetrics`: only servers that report need the messages' code. */
let encode: Encoder | undefined;

/** Loads what reports are encoded with; before that `serialize` throws. */
export async function loadMetrics(): Promise<void> {
  ({ encodeLoadReport: encode } = await import("./load-report.ts"));
}

/** The trailer that a call's report goes in (gRFC A51). */
export const metricsTrailer = "endpoint-load-metrics-bin";

/** What a handler says of the load that its call made (ORCA): grpc-js's recorder, as `call.getMetricsRecorder()` gives it. */
export class CallMetrics implements Omit<Recorder, "message"> {
  readonly #report: { -readonly [Field in keyof OrcaLoadReport]?: OrcaLoadReport[Field] } = {};

  recordRequestCostMetric(name: string, value: number): void {
    this.#report.requestCost = { ...this.#report.requestCost, [name]: value };
  }

  recordUtilizationMetric(name: string, value: number): void {
    this.#report.utilization = { ...this.#report.utilization, [name]: value };
  }

  recordNamedMetric(name: string, value: number): void {
    this.#report.namedMetrics = { ...this.#report.namedMetrics, [name]: value };
  }

  recordCPUUtilizationMetric(value: number): void {
    this.#report.cpuUtilization = value;
  }

  recordMemoryUtilizationMetric(value: number): void {
    this.#report.memUtilization = value;
  }

  recordApplicationUtilizationMetric(value: number): void {
    this.#report.applicationUtilization = value;
  }

  recordQpsMetric(value: number): void {
    this.#report.rpsFractional = value;
  }

  recordEpsMetric(value: number): void {
    this.#report.eps = value;
  }

  serialize(): Buffer {
    if (encode === undefined) throw new Error('metrics need the server option "grpc.server_call_metric_recording"');
    return Buffer.from(encode(this.#report));
  }
}
