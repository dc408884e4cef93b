// A process that applies two documents at a time, for ever, and prints the number of each batch once it is acknowledged.
// durability.test.ts kills it.
import { writeSync } from "node:fs";
import { systemClock } from "@weft/grpc/platform";
import { openStore } from "../store.ts";

const opened = openStore({ directory: process.argv[2] ?? "", clock: systemClock });
if (opened.kind === "refused") throw new Error(opened.problem.message);
for (let batch = 0; ; batch++) {
  const documents = ["left", "right"].map((side) => ({
    kind: "Service",
    namespace: "shop",
    name: `${side}-${batch}`,
    text: `batch ${batch} ${"x".repeat(2_000)}`,
    file: "shop.yaml",
    line: 1,
  }));
  opened.store.resources.apply(documents);
  writeSync(1, `${batch}\n`);
}
