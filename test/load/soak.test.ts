import { expect, test } from "vitest";
import { soak } from "./soak.ts";
import { judge } from "./soak-verdict.ts";

const seed = Date.now() % 1_000_000;

test("20 s of mixed traffic with cancels, resets, reconnects and certificate swaps leave nothing behind", async () => {
  console.log(`soak with seed ${seed}`);
  const result = await soak({ durationMs: 20_000, seed });
  expect(judge(result), `seed ${seed}`).toEqual([]);
  expect(result.client.calls).toBeGreaterThan(1000);
}, 120_000);
