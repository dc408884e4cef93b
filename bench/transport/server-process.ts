// argv: stack, folder of certificates or nothing. Prints the port, serves until standard input ends, and answers each line
// there with what it has used so far, as JSON: `usage`, or `collect` for the same after a garbage collection.
import { createInterface } from "node:readline";
import { collectGarbage } from "../../packages/grpc/src/http2/testing/garbage.ts";
import { readCertificates } from "./certificates.ts";
import { loadStack } from "./stack.ts";
import type { StackName } from "./workload.ts";

const [name, folder] = process.argv.slice(2);
const stack = await loadStack(name as StackName);
console.log(await stack.serve(readCertificates(folder ?? "")));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    if (line === "collect") collectGarbage();
    const { user, system } = process.cpuUsage();
    console.log(JSON.stringify({ cpuUs: user + system, rssBytes: process.memoryUsage.rss() }));
  })
  .on("close", () => process.exit(0));
