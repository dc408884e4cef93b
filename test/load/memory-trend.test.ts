import { expect, test } from "vitest";
import { memoryTrend } from "./memory-trend.ts";

const samples = (bytesAt: (index: number) => number) =>
  Array.from({ length: 9 }, (_, index) => ({ calls: index * 1000, bytes: bytesAt(index) }));

test("a leak of 100 bytes a call is seen as such", () => {
  expect(memoryTrend(samples((index) => 5_000_000 + index * 100_000))).toEqual({
    bytesPerCall: 100,
    growthBytes: 800_000,
  });
});

test("memory that goes up and down around a level has no slope to speak of", () => {
  expect(Math.abs(memoryTrend(samples((index) => 5_000_000 + (index % 2) * 50_000)).growthBytes)).toBeLessThan(60_000);
});

test("one sample at a bad moment doesn't make a slope", () => {
  expect(memoryTrend(samples((index) => (index === 8 ? 50_000_000 : 5_000_000))).growthBytes).toBe(0);
});
