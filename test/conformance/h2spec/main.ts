// h2spec against the HTTP/2 layer: plaintext and TLS, its default cases and the strict ones. Every case must pass; a skipped one fails.
//
//     node --conditions=@weft/source test/conformance/h2spec/main.ts
import { spawn } from "node:child_process";
import { startAnswering } from "./server.ts";
import { h2spec, type Tool } from "./tool.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const runs = [
  { name: "plaintext", tls: false, strict: false },
  { name: "plaintext, strict", tls: false, strict: true },
  { name: "TLS", tls: true, strict: false },
  { name: "TLS, strict", tls: true, strict: true },
] as const;

async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  for await (const chunk of child.stdout.setEncoding("utf8")) output += chunk;
  return output;
}

async function run(tool: Tool, { name, tls, strict }: (typeof runs)[number]): Promise<Counts> {
  await using server = await startAnswering(tls);
  const args = ["-h", "127.0.0.1", "-p", String(server.port), ...(tls ? ["-t", "-k"] : []), ...(strict ? ["-S"] : [])];
  const output = await outputOf(tool.program, args);
  const totals = /(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed/.exec(output);
  const [total, passed, skipped, failed] = (totals ?? []).slice(1).map(Number);
  if (total === undefined || passed === undefined || total === 0) {
    console.log(`${name}: h2spec printed no totals\n${output}`);
    return { passed: 0, failed: 1 };
  }
  console.log(`${name}: ${total} tests, ${passed} passed, ${skipped} skipped, ${failed} failed`);
  if (passed !== total) console.log(output);
  return { passed, failed: total - passed };
}

let passed = 0;
let failed = 0;
try {
  const tool = h2spec();
  console.log(`h2spec ${tool.version}`);
  for (const each of runs) {
    const counts = await run(tool, each);
    passed += counts.passed;
    failed += counts.failed;
  }
} catch (error) {
  // nothing was judged without the tool: that is no success
  console.error(error instanceof Error ? error.message : error);
  failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
