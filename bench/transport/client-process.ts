// argv: stack, port, calls in flight, warm-up ms, duration ms. Prints the measurement as JSON.
import { closedLoop } from "./load.ts";
import { loadStack } from "./stack.ts";

const [name = "", port, inFlight, warmupMs, durationMs] = process.argv.slice(2);
const caller = await (await loadStack(name)).connect(Number(port));
console.log(JSON.stringify(await closedLoop(caller, Number(inFlight), Number(warmupMs), Number(durationMs))));
process.exit(0);
