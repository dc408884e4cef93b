// argv: stack, folder of certificates or nothing. Prints the port, serves until standard input ends, and answers each line
// there with what it has used so far, as JSON: `usage`, or `collect` for the same after a garbage collection.
import { createInterface } from "node:readline";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { readCertificates } from "./certificates.ts";
import { loadStack } from "./stack.ts";
import type { StackName } from "./workload.ts";

const [name, folder] = process.argv.slice(2);
const stack = await loadStack(name as StackName);
console.log(await stack.serve(readCertificates(folder ?? "")));

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) collect();
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "collect") collectGarbage();
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({ cpuUs: user + system, rssBytes: process.memoryUsage.rss() }));
  })
  .on("close", () => process.exit(0));
