// The transport against its peers: client pinned to one core, server to the other, one connection, medians of interleaved repeats.
import { parseArgs } from "node:util";
import { type Row, report, rowOf } from "../report.ts";
import { canPin, measurePair } from "./pair.ts";

const { values: options } = parseArgs({ options: { quick: { type: "boolean" }, json: { type: "boolean" } } });
const repeats = 3;
const warmupMs = options.quick ? 1000 : 2000;
const durationMs = options.quick ? 2000 : 5000;

async function requestsPerSecond(inFlight: number, peerName: string): Promise<{ ours: number[]; peer: number[] }> {
  const ours: number[] = [];
  const peer: number[] = [];
  for (let i = 0; i < repeats; i++) {
    ours.push((await measurePair("weft", inFlight, warmupMs, durationMs)).requestsPerSecond);
    peer.push((await measurePair(peerName, inFlight, warmupMs, durationMs)).requestsPerSecond);
  }
  return { ours, peer };
}

if (!canPin) console.log("taskset or a second core is missing: client and server are not pinned");
const what = "promise client and server, 100 B unary, 10 s deadline, token and request id, 32 in flight";
const measured = await requestsPerSecond(32, "grpc-js");
const rows: Row[] = [
  rowOf(
    { id: "promise-32", what, peerName: "grpc-js", unit: "requests/s", bar: ">= 10" },
    measured.ours,
    measured.peer,
  ),
];
process.exitCode = report("transport", rows, [], options.json === true);
