import * as grpc from "@grpc/grpc-js";
import { OrcaLoadReport } from "@weft/xds-api/xds/data/orca/v3/orca_load_report";
import { expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";
import { startGrpcJsServer } from "./testing/grpc-js-server.ts";

const recording = { "grpc.server_call_metric_recording": 1 };

/** What `record` leaves in the trailers of a call to `server`. */
async function reportOf(
  server: grpc.Server,
  record: (call: grpc.ServerUnaryCall<Buffer, Buffer>) => void,
  error: Partial<grpc.StatusObject> | null = null,
): Promise<OrcaLoadReport | undefined> {
  await using served = await startGrpcJsServer(server, {
    unary(call, callback) {
      record(call);
      callback(error, Buffer.of());
    },
  });
  await using client = BytesClient.plaintext(served.address);
  const { status } = await client.unary(Buffer.of());
  const [bytes] = status.metadata.get("endpoint-load-metrics-bin");
  return bytes === undefined ? undefined : OrcaLoadReport.decode(bytes as Buffer);
}

function recordAll(call: grpc.ServerUnaryCall<Buffer, Buffer>): void {
  const recorder = call.getMetricsRecorder();
  recorder.recordRequestCostMetric("bytes", 3487);
  recorder.recordRequestCostMetric("rows", 2);
  recorder.recordUtilizationMetric("disk", 0.5);
  recorder.recordNamedMetric("queue", 7);
  recorder.recordCPUUtilizationMetric(0.25);
  recorder.recordMemoryUtilizationMetric(0.125);
  recorder.recordApplicationUtilizationMetric(0.75);
  recorder.recordQpsMetric(100);
  recorder.recordEpsMetric(1);
}

test.each([
  ["our", () => new weft.Server(recording)],
  ["grpc-js's", () => new grpc.Server(recording)],
])("what a handler records of its call is in the trailers of %s server", async (_whose, server) => {
  expect(await reportOf(server(), recordAll)).toEqual({
    requestCost: { bytes: 3487, rows: 2 },
    utilization: { disk: 0.5 },
    namedMetrics: { queue: 7 },
    cpuUtilization: 0.25,
    memUtilization: 0.125,
    applicationUtilization: 0.75,
    rpsFractional: 100,
    eps: 1,
    rps: 0n,
  });
});

test("a call that fails reports too", async () => {
  const record = (call: grpc.ServerUnaryCall<Buffer, Buffer>) => call.getMetricsRecorder().recordQpsMetric(3);
  const report = await reportOf(new weft.Server(recording), record, { code: grpc.status.ABORTED, details: "no" });
  expect(report?.rpsFractional).toBe(3);
});

test("nothing is sent without the option, nor without a record", async () => {
  expect(await reportOf(new weft.Server(), recordAll)).toBeUndefined();
  expect(await reportOf(new weft.Server(recording), () => undefined)).toBeUndefined();
});

test("a ServerMetricRecorder serves the server's own load", async () => {
  const recorder = new weft.ServerMetricRecorder();
  recorder.setCpuUtilizationMetric(0.5);
  const server = new weft.Server();
  recorder.addToServer(server);
  await using served = await startGrpcJsServer(server);
  const client = new weft.Client(served.address, weft.credentials.createInsecure());
  const call = client.makeServerStreamRequest(
    "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
    // OrcaLoadReportRequest { report_interval { nanos: 1000000 } }
    () => Buffer.from("0a0410c0843d", "hex"),
    (bytes: Buffer) => OrcaLoadReport.decode(bytes),
    undefined,
  );
  const report = await new Promise<OrcaLoadReport>((resolve, reject) => call.once("data", resolve).on("error", reject));
  expect(report.cpuUtilization).toBe(0.5);
  call.removeAllListeners("error").on("error", () => undefined);
  call.cancel();
  client.close();
});
