// Who plays against whom: a server of one implementation in a process of its own, the cases by a client of another.
import { join } from "node:path";
import type { GoPrograms } from "./go-programs.ts";
import { type Command, nodeCommand, runProgram, startServer } from "./program.ts";
import type { ServerAddress } from "./server-address.ts";
import type { Stack } from "./stack.ts";
import { serverName, type TlsFiles } from "./tls-files.ts";

export type Peer = Stack | "grpc-go";

export interface Pairing {
  readonly client: Peer;
  readonly server: Peer;
  readonly tls: boolean;
  readonly cases: readonly string[];
}

/** What came of one case. */
export interface Result {
  readonly name: string;
  /** Why it failed; undefined when it passed. */
  readonly error: string | undefined;
}

/** What pairings need besides Node. */
export interface Equipment {
  readonly go: GoPrograms;
  readonly tls: TlsFiles;
}

const caseLimitMs = 15_000;

/** Runs a pairing's cases; every case has a result, whatever happens to the programs. */
export async function* play(pairing: Pairing, equipment: Equipment): AsyncGenerator<Result, void, void> {
  await using server = await startServer(serverCommand(pairing, equipment));
  const address = { port: server.port, ...(pairing.tls ? { caFile: equipment.tls.caFile } : {}) };
  if (pairing.client === "grpc-go") yield* playGo(pairing.cases, address, equipment.go);
  else yield* playNode(pairing.client, pairing.cases, address);
}

function serverCommand({ server, tls }: Pairing, equipment: Equipment): Command {
  const { certificateFile, keyFile } = equipment.tls;
  if (server === "grpc-go") {
    return [equipment.go.server, ...(tls ? ["-tls_cert_file", certificateFile, "-tls_key_file", keyFile] : [])];
  }
  const files = tls ? [certificateFile, keyFile] : [];
  return nodeCommand(join(import.meta.dirname, "server.ts"), server, ...files);
}

async function* playNode(
  stack: Stack,
  cases: readonly string[],
  { port, caFile = "-" }: ServerAddress,
): AsyncGenerator<Result, void, void> {
  const command = nodeCommand(join(import.meta.dirname, "client.ts"), stack, `${port}`, caFile, ...cases);
  const { stdout, complaint } = await runProgram(command, caseLimitMs * 4);
  const results = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as Result);
  for (const name of cases) {
    yield results.find((result) => result.name === name) ?? {
      name,
      error: `the client did not get to it: ${complaint}`,
    };
  }
}

async function* playGo(
  cases: readonly string[],
  { port, caFile }: ServerAddress,
  go: GoPrograms,
): AsyncGenerator<Result, void, void> {
  const tls =
    caFile === undefined ? [] : ["-use_tls", "-use_test_ca", "-ca_file", caFile, "-server_host_override", serverName];
  for (const name of cases) {
    const flags = ["-server_host", "127.0.0.1", "-server_port", `${port}`, "-test_case", name, ...tls];
    const { succeeded, complaint } = await runProgram([go.client, ...flags], caseLimitMs);
    yield { name, error: succeeded ? undefined : complaint };
  }
}
