// gRPC's standard interop cases, between the promise API, the grpc-js facade, grpc-js and grpc-go, in both directions; and
// the HTTP/2 negative ones, by a server that misbehaves.
//
//     node --conditions=@weft/source test/conformance/grpc-interop/main.ts
import { rmSync } from "node:fs";
import { cases } from "./cases.ts";
import { compressedPairings, playCompressed } from "./compressed-pairing.ts";
import { goPrograms } from "./go-programs.ts";
import { grpcioPrograms } from "./grpcio.ts";
import { negativeNames, playNegative } from "./negative-pairing.ts";
import { type Equipment, type Pairing, type Peer, play, type Result } from "./pairing.ts";
import { createTlsFiles } from "./tls-files.ts";

const all = Object.keys(cases);
/** grpc-go's client has no concurrent_large_unary, and pick_first_unary besides. */
const goCases = [...all.filter((name) => name !== "concurrent_large_unary"), "pick_first_unary"];

const pairs: readonly (readonly [client: Peer, server: Peer])[] = [
  ["promise", "promise"],
  ["facade", "facade"],
  ["promise", "grpc-js"],
  ["facade", "grpc-js"],
  ["grpc-js", "promise"],
  ["grpc-js", "facade"],
  ["promise", "grpc-go"],
  ["facade", "grpc-go"],
  ["grpc-go", "promise"],
  ["grpc-go", "facade"],
];
/** Over TLS the calls are the same: once with each of our sides is enough. */
const tlsPairs: typeof pairs = [
  ["promise", "promise"],
  ["promise", "grpc-go"],
  ["grpc-go", "promise"],
  ["facade", "grpc-js"],
  ["grpc-js", "facade"],
];

function pairing([client, server]: (typeof pairs)[number], tls: boolean): Pairing {
  return { client, server, tls, cases: client === "grpc-go" ? goCases : all };
}

let passed = 0;
let failed = 0;

/** Prints a line per case and one for all; a case without a result has failed. */
async function report(title: string, cases: number, results: AsyncIterable<Result>): Promise<void> {
  const startedAt = performance.now();
  let good = 0;
  for await (const { name, error } of results) {
    console.log(
      error === undefined ? `ok   ${title}: ${name}` : `FAIL ${title}: ${name}: ${error.replaceAll(/\s+/g, " ")}`,
    );
    if (error === undefined) good++;
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`     ${title}: ${good} of ${cases} in ${seconds} s`);
  passed += good;
  failed += cases - good;
}

function run(pairing: Pairing, equipment: Equipment): Promise<void> {
  const title = `${pairing.client} → ${pairing.server}${pairing.tls ? " (TLS)" : ""}`;
  return report(title, pairing.cases.length, play(pairing, equipment));
}

const tls = await createTlsFiles();
try {
  const equipment: Equipment = { go: goPrograms(), tls };
  console.log(`against grpc-go ${equipment.go.version}`);
  for (const pair of pairs) await run(pairing(pair, false), equipment);
  for (const pair of tlsPairs) await run(pairing(pair, true), equipment);
  const grpcio = grpcioPrograms();
  for (const each of compressedPairings) {
    await report(`${each.client} → ${each.server} (compressed)`, each.cases.length, playCompressed(each, grpcio));
  }
  for (const client of ["promise", "facade", "grpc-go"] as const) {
    await report(`${client} → misbehaving server`, negativeNames.length, playNegative(client, equipment.go));
  }
} catch (error) {
  // What wasn't played wasn't passed.
  console.error(error instanceof Error ? error.message : error);
  failed++;
} finally {
  rmSync(tls.folder, { recursive: true });
}
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
