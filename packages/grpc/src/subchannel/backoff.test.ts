import { expect, test } from "vitest";
import { Backoff } from "./backoff.ts";

const middle = () => 0.5;

test("waits 1 s, then 1.6 times as long each time, 120 s at most", () => {
  const backoff = new Backoff(1000, 120_000, middle);
  const waits = Array.from({ length: 13 }, () => backoff.next());
  expect(waits.slice(0, 4).map(Math.round)).toEqual([1000, 1600, 2560, 4096]);
  expect(Math.max(...waits)).toBe(120_000);
});

test("spreads each wait by 20 % either way", () => {
  expect(new Backoff(1000, 120_000, () => 0).next()).toBe(800);
  expect(new Backoff(1000, 120_000, () => 1).next()).toBeCloseTo(1200);
});

test("begins anew after a success", () => {
  const backoff = new Backoff(1000, 120_000, middle);
  backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(1000);
});
