// gRPC's standard interop cases, between the promise API, the grpc-js facade, grpc-js and grpc-go, in both directions.
//
//     node --conditions=@weft/source test/conformance/grpc-interop/main.ts
import { rmSync } from "node:fs";
import { cases } from "./cases.ts";
import { goPrograms } from "./go-programs.ts";
import { type Equipment, type Pairing, type Peer, play } from "./pairing.ts";
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

async function run(pairing: Pairing, equipment: Equipment): Promise<void> {
  const title = `${pairing.client} → ${pairing.server}${pairing.tls ? " (TLS)" : ""}`;
  const startedAt = performance.now();
  let good = 0;
  for await (const { name, error } of play(pairing, equipment)) {
    console.log(error === undefined ? `ok   ${title}: ${name}` : `FAIL ${title}: ${name}: ${error}`);
    if (error === undefined) good++;
  }
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`     ${title}: ${good} of ${pairing.cases.length} in ${seconds} s`);
  passed += good;
  failed += pairing.cases.length - good;
}

const tls = await createTlsFiles();
try {
  const equipment: Equipment = { go: goPrograms(), tls };
  console.log(`against grpc-go ${equipment.go.version}`);
  for (const pair of pairs) await run(pairing(pair, false), equipment);
  for (const pair of tlsPairs) await run(pairing(pair, true), equipment);
} catch (error) {
  // What wasn't played wasn't passed.
  console.error(error instanceof Error ? error.message : error);
  failed++;
} finally {
  rmSync(tls.folder, { recursive: true });
}
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
