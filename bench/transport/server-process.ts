// argv: stack. Prints the port and serves until it is killed.
import { loadStack } from "./stack.ts";

const stack = await loadStack(process.argv[2] ?? "");
console.log(await stack.serve());
process.stdin.resume().on("end", () => process.exit(0));
