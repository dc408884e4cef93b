import { describe, expect, test } from "vitest";
import { type HeaderMatch, headerPredicate } from "./header-match.ts";
import { regexProblem } from "./regex.ts";
import { stringPredicate } from "./string-match.ts";

const text = (kind: "exact" | "prefix" | "suffix" | "contains", value: string, ignoreCase = false) =>
  stringPredicate({ kind, value, ignoreCase });

function headers(values: Record<string, readonly (string | Uint8Array)[]>) {
  return { getAll: (name: string) => values[name] ?? [] };
}

function header(test: HeaderMatch["test"], options: { name?: string; invert?: boolean } = {}) {
  return headerPredicate({ name: options.name ?? "x-user", invert: options.invert ?? false, test });
}

const exact = (value: string): HeaderMatch["test"] => ({
  kind: "string",
  match: { kind: "exact", value, ignoreCase: false },
});

describe("a string matcher", () => {
  test("compares exactly unless told to ignore case", () => {
    expect(text("exact", "Echo")("echo")).toBe(false);
    expect(text("exact", "Echo", true)("eCHO")).toBe(true);
  });

  test("finds prefixes, suffixes and parts", () => {
    expect(text("prefix", "/greet.")("/greet.v1.Greeter/Hello")).toBe(true);
    expect(text("suffix", "/Hello")("/greet.v1.Greeter/Hello")).toBe(true);
    expect(text("contains", "V1", true)("/greet.v1.Greeter/Hello")).toBe(true);
    expect(text("prefix", "greet.")("/greet.v1.Greeter/Hello")).toBe(false);
  });

  test("asks a regular expression for the whole value, alternatives included", () => {
    const matches = stringPredicate({ kind: "regex", pattern: "zzz|evil" });
    expect(matches("evil")).toBe(true);
    expect(matches("spiffe://cluster.local/ns/x/sa/evil")).toBe(false);
    expect(matches("evil\n")).toBe(false);
  });

  test("tells a regular expression that RE2 refuses from one it accepts", () => {
    expect(regexProblem("(unclosed")).toMatch(/missing closing|unexpected|\)/);
    expect(regexProblem("(?=lookahead)")).toBeDefined();
    expect(regexProblem("v[0-9]+")).toBeUndefined();
  });

  test("takes time linear to the value, whatever the pattern", () => {
    const matches = stringPredicate({ kind: "regex", pattern: "(a+)+b" });
    expect(matches("a".repeat(5_000))).toBe(false);
  });
});

describe("a header matcher", () => {
  test("joins several values with commas", () => {
    expect(header(exact("a,b"))(headers({ "x-user": ["a", "b"] }))).toBe(true);
  });

  test("never looks at binary headers", () => {
    const present = header({ kind: "present", present: false }, { name: "trace-bin" });
    expect(present(headers({}))).toBe(false);
    expect(header(exact("a"), { name: "trace-bin" })(headers({ "trace-bin": ["a"] }))).toBe(false);
  });

  test("without its header matches nothing, inverted or not", () => {
    expect(header(exact("a"))(headers({}))).toBe(false);
    expect(header(exact("a"), { invert: true })(headers({}))).toBe(false);
  });

  test("inverts what a present header says", () => {
    expect(header(exact("a"), { invert: true })(headers({ "x-user": ["b"] }))).toBe(true);
  });

  test("asks for presence or absence, which inversion swaps", () => {
    const present = { kind: "present", present: true } as const;
    expect(header(present)(headers({ "x-user": ["a"] }))).toBe(true);
    expect(header(present, { invert: true })(headers({ "x-user": ["a"] }))).toBe(false);
    expect(header({ kind: "present", present: false })(headers({}))).toBe(true);
  });

  test("takes integers of a half-open range and nothing else", () => {
    const range = header({ kind: "range", start: -5n, end: 10n });
    expect(["-5", "0", "9"].map((value) => range(headers({ "x-user": [value] })))).toEqual([true, true, true]);
    expect(["10", "-6", "1.5", "", "0x1"].map((value) => range(headers({ "x-user": [value] })))).toEqual(
      Array(5).fill(false),
    );
  });

  test("does not read a huge integer", () => {
    expect(header({ kind: "range", start: 0n, end: 10n })(headers({ "x-user": ["9".repeat(100_000)] }))).toBe(false);
  });

  test("names its header without regard to case", () => {
    expect(header(exact("a"), { name: "X-User" })(headers({ "x-user": ["a"] }))).toBe(true);
  });

  test("sees the content type that the transport adds", () => {
    expect(header(exact("application/grpc"), { name: "content-type" })(headers({}))).toBe(true);
  });
});
