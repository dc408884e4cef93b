// The conformance suite of connectrpc.com over gRPC and HTTP/2: every side of this package against its reference program,
// plaintext, TLS and client certificates, identity and gzip. No case may fail and none is left out.
//
//     node --conditions=@weft/source test/conformance/connect/main.ts [side…]
import { spawn } from "node:child_process";
import { join } from "node:path";
import { prepareSuite, type Suite } from "./suite.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** What this version has for config.yaml: with another total something was left out. */
const cases = { server: 566, client: 634 };

interface Side {
  readonly name: string;
  readonly mode: "client" | "server";
  /** What is under test, and the suite starts. */
  readonly program: string;
}

const sides: readonly Side[] = [
  { name: "promise server", mode: "server", program: "promise-server.ts" },
  { name: "grpc-js server", mode: "server", program: "grpc-js-server.ts" },
  { name: "promise client", mode: "client", program: "promise-client.ts" },
  { name: "grpc-js client", mode: "client", program: "grpc-js-client.ts" },
  { name: "Connect transport", mode: "client", program: "transport-client.ts" },
];

/** Runs the suite against `side`; what it says of failed cases goes to stdout. */
async function run(suite: Suite, { name, mode, program }: Side): Promise<Counts> {
  const under = [process.execPath, "--conditions=@weft/source", join(import.meta.dirname, program)];
  const config = join(import.meta.dirname, "config.yaml");
  // Few programs and calls at once: many cases are about time, which a busy machine has none of.
  const parallel = mode === "server" ? ["--parallel", "4"] : [];
  const flags = ["--conf", config, "--mode", mode, "--max-servers", "2", ...parallel];
  const child = spawn(suite.program, [...flags, "--", ...under], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise<number>((resolve, reject) => {
    child.once("close", (code) => resolve(code ?? 1));
    child.once("error", reject);
  });
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) output += chunk;
  const code = await ended;
  const total = Number(/^Total cases: (\d+)$/m.exec(output)?.[1] ?? 0);
  const passed = Number(/^(\d+) passed, \d+ failed/m.exec(output)?.[1] ?? 0);
  const failed = Math.max(cases[mode] - passed, code === 0 ? 0 : 1);
  if (failed > 0) console.log(output);
  console.log(`${name}: ${total} cases, ${passed} passed, ${failed} failed`);
  return { passed, failed };
}

const asked = process.argv.slice(2);
const chosen = asked.length === 0 ? sides : sides.filter(({ program }) => asked.includes(program.replace(".ts", "")));
let passed = 0;
let failed = chosen.length === 0 ? 1 : 0;
try {
  const suite = prepareSuite();
  console.log(`connectrpc.com/conformance ${suite.version}`);
  for (const side of chosen) {
    const counts = await run(suite, side);
    passed += counts.passed;
    failed += counts.failed;
  }
} catch (error) {
  // Nothing was judged without the suite: that is no success.
  console.error(error instanceof Error ? error.message : error);
  failed++;
}
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
