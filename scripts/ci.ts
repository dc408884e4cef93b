// Runs what CI demands, one step after the other, and sums the counts: every step's own closing line where it prints one,
// otherwise one pass or fail for the step.
import { spawn } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const steps: readonly (readonly [title: string, command: string, ...args: string[]])[] = [
  ["check", "npm", "run", "check"],
  ["test", "npm", "test"],
  ["demo", "npm", "run", "demo"],
  ["interop with python", "npm", "run", "interop", "--", "python"],
  ["interop with grpcurl", "npm", "run", "interop", "--", "grpcurl"],
  ["conformance: h2spec", "npm", "run", "conformance", "--", "h2spec"],
  ["conformance: grpc-interop", "npm", "run", "conformance", "--", "grpc-interop"],
  ["conformance: connect", "npm", "run", "conformance", "--", "connect"],
];

interface Outcome {
  readonly passed: number;
  readonly failed: number;
}

function runStep(title: string, command: string, args: readonly string[]): Promise<Outcome> {
  console.log(`\n=== ${title}`);
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    let tail = "";
    child.stdout.on("data", (chunk: Buffer) => {
      process.stdout.write(chunk);
      tail = (tail + chunk.toString()).slice(-4096);
    });
    child.on("error", reject);
    child.on("close", (code) => {
      const counts = [...tail.matchAll(/^(\d+) passed, (\d+) failed$/gm)].at(-1);
      const passed = Number(counts?.[1] ?? (code === 0 ? 1 : 0));
      const failed = Number(counts?.[2] ?? 0);
      // A step that exits non-zero has failed whatever it counted.
      resolve({ passed, failed: code !== 0 && failed === 0 ? 1 : failed });
    });
  });
}

let passed = 0;
let failed = 0;
for (const [title, command, ...args] of steps) {
  const outcome = await runStep(title, command, args);
  passed += outcome.passed;
  failed += outcome.failed;
}
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed`);
