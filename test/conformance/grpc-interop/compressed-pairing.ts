// The compressed cases: each by a program of its own, through a tap that sees what was compressed.
import { join } from "node:path";
import { type CompressedCase, wireComplaint } from "./compressed-cases.ts";
import type { GrpcioPrograms } from "./grpcio.ts";
import type { Result } from "./pairing.ts";
import { type Command, nodeCommand, runProgram, startServer } from "./program.ts";
import type { Stack } from "./stack.ts";
import { startWireTap } from "./wire-tap.ts";

export interface CompressedPairing {
  readonly client: Stack | "grpcio";
  readonly server: Stack | "grpcio";
  readonly cases: readonly CompressedCase[];
}

const probed = ["client_compressed_unary", "client_compressed_streaming"] as const;
const unprobed = ["client_compressed_unary_unprobed", "client_compressed_streaming_unprobed"] as const;
const ofServer = ["server_compressed_unary", "server_compressed_streaming"] as const;

/** Neither grpcio's nor grpc-js's server sees what was compressed, and grpc-js's compresses nothing. */
export const compressedPairings: readonly CompressedPairing[] = [
  { client: "promise", server: "promise", cases: [...probed, ...ofServer] },
  { client: "grpcio", server: "promise", cases: [...probed, ...ofServer] },
  { client: "promise", server: "grpcio", cases: [...unprobed, ...ofServer] },
  { client: "grpc-js", server: "promise", cases: [...probed, ...ofServer] },
  { client: "promise", server: "grpc-js", cases: unprobed },
  { client: "facade", server: "promise", cases: [...probed, ...ofServer] },
  { client: "facade", server: "grpcio", cases: [...unprobed, ...ofServer] },
];

const limitMs = 15_000;

/** Runs the cases of a pairing; both the client and the wire have to be right. */
export async function* playCompressed(
  { client, server, cases }: CompressedPairing,
  grpcio: GrpcioPrograms,
): AsyncGenerator<Result, void, void> {
  const command = server === "grpcio" ? grpcio.server : nodeCommand(join(import.meta.dirname, "server.ts"), server);
  await using running = await startServer(command);
  for (const name of cases) {
    await using tap = await startWireTap(running.port);
    const { stdout, complaint } = await runProgram(clientCommand(client, tap.port, name, grpcio), limitMs);
    const line = stdout.split("\n").find((text) => text.startsWith("{"));
    if (line === undefined) yield { name, error: `the client did not get to it: ${complaint}` };
    else yield { name, error: (JSON.parse(line) as Result).error ?? wireComplaint(name, tap.calls()) };
  }
}

function clientCommand(
  client: CompressedPairing["client"],
  port: number,
  name: string,
  grpcio: GrpcioPrograms,
): Command {
  if (client === "grpcio") return [...grpcio.client, `${port}`, name];
  return nodeCommand(join(import.meta.dirname, "client.ts"), client, `${port}`, "-", name);
}
