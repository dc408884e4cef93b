// The long soak, by hand:
//
//     node --conditions=@weft/source test/load/main.ts --minutes 10 [--seed 1]
import { parseArgs } from "node:util";
import { soak } from "./soak.ts";
import { judge } from "./soak-verdict.ts";

const { values } = parseArgs({ options: { minutes: { type: "string" }, seed: { type: "string" } } });
const minutes = Number(values.minutes ?? 10);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
console.log(`${minutes} minutes with --seed ${seed}`);
const result = await soak({ durationMs: minutes * 60_000, seed, onSample: (text) => console.log(text) });
console.log(result);
const complaints = judge(result);
for (const complaint of complaints) console.log(`FAIL ${complaint}`);
process.exitCode = complaints.length === 0 ? 0 : 1;
console.log(complaints.length === 0 ? "1 passed, 0 failed" : "0 passed, 1 failed");
