import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatTimeout, parseTimeout } from "./timeout.ts";

describe("grpc-timeout", () => {
  test("never says less than what is left, and has at most 8 digits", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.001, max: 1e14, noNaN: true }), (timeoutMs) => {
        const text = formatTimeout(timeoutMs);
        expect(text).toMatch(/^\d{1,8}[HMSm]$/);
        expect(parseTimeout(text)).toBeGreaterThanOrEqual(timeoutMs);
      }),
    );
  });

  test.each([
    [0, "1n"],
    [-5, "1n"],
    [0.2, "1m"],
    [10_000, "10000m"],
    [99_999_999, "99999999m"],
    [100_000_000, "100000S"],
    [Number.MAX_VALUE, "99999999H"],
  ])("%d ms is written %j", (timeoutMs, text) => {
    expect(formatTimeout(timeoutMs)).toBe(text);
  });

  test.each([
    ["1H", 3_600_000],
    ["2M", 120_000],
    ["3S", 3000],
    ["4m", 4],
    ["5u", 0.005],
    ["6n", 0.000006],
  ])("%j is read as %d ms", (text, timeoutMs) => {
    expect(parseTimeout(text)).toBeCloseTo(timeoutMs, 9);
  });

  test.each(["", "m", "1", "1s", "-1m", "123456789m", "1 m", "1.5S"])("%j is malformed", (text) => {
    expect(parseTimeout(text)).toBeUndefined();
  });
});
