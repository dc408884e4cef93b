import fc from "fast-check";
import { expect, test } from "vitest";
import { weightedSequence } from "./weighted-sequence.ts";

test("equal weights take turns", () => {
  expect(weightedSequence([7, 7, 7])).toEqual([0, 1, 2]);
});

test("a heavier one comes more often, and not all at once", () => {
  expect(weightedSequence([4, 1, 1])).toEqual([0, 0, 1, 0, 2, 0]);
});

test("keeps the proportions, and leaves nobody out", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4_000_000_000 }), { minLength: 1, maxLength: 20 }), (weights) => {
      const sequence = weightedSequence(weights);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (const [index, weight] of weights.entries()) {
        const turns = sequence.filter((turn) => turn === index).length;
        expect(turns).toBeGreaterThanOrEqual(1);
        expect(Math.abs(turns / sequence.length - weight / total)).toBeLessThan(0.02);
      }
    }),
    { numRuns: 50 },
  );
});
