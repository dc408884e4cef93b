import fc from "fast-check";
import { expect, test } from "vitest";
import { checkRe2, maxPatternLength } from "./re2.ts";

test.each([
  "",
  "a|b",
  "^/greet\\.v[0-9]+/.*$",
  "(a+)+$",
  "(?i)admin",
  "(?i:a)(?-s:b)(?:c)",
  "(?P<name>x)",
  "[^a-z\\d\\]_-]*?",
  "[]a]",
  "[[:alpha:]_]",
  "\\pL\\p{Greek}\\P{Lu}",
  "\\x41\\x{10FFFF}",
  "a{2}b{2,}c{1,1000}",
  "a{,2}",
  "{}",
  "\\Qa.b\\E",
  "\\bword\\b",
])("takes %j", (pattern) => {
  expect(checkRe2(pattern)).toBeUndefined();
});

test.each([
  ["(?=a)", "lookahead"],
  ["(?<!a)b", "lookbehind"],
  ["(?>a)", "atomic"],
  ["(?<name>a)", "(?P<name>"],
  ["(?P<n>a)|(?P<n>b)", "twice"],
  ["(a)\\1", "backreferences"],
  ["a++", "repeated"],
  ["a**", "repeated"],
  ["*a", "nothing to repeat"],
  ["a|*", "nothing to repeat"],
  ["(a", "not closed"],
  ["a)", "not opened"],
  ["[a", "not closed"],
  ["[z-a]", "out of order"],
  ["[a-\\d]", "ends in a class"],
  ["[[:nope:]]", "unknown"],
  ["a{1001}", "above 1000"],
  ["(a{100}){11}", "multiply"],
  ["((a{10}){10}){11}", "multiply"],
  ["a{3,2}", "out of order"],
  ["a\\", "backslash"],
  ["\\Z", "not taken"],
  ["\\C", "not taken"],
  ["\\p{Klingon}", "not taken"],
  ["\\x{110000}", "no such character"],
  ["\\Qa", "not closed"],
  ["\ud800", "well-formed"],
  ["(".repeat(200), "deeper"],
  ["a".repeat(maxPatternLength + 1), "longer"],
])("refuses %j because of %j", (pattern, reason) => {
  expect(checkRe2(pattern)).toContain(reason);
});

test("what is taken compiles in RE2 for JavaScript too", async () => {
  const { RE2JS } = await import("re2js");
  const piece = fc.constantFrom(
    ...["a", "B", "0", "_", "-", ".", "^", "$", "|", "(", ")", "[", "]", "{", "}", "*", "+", "?", ",", ":", "\\", "/"],
    ...[
      "{2}",
      "{1,3}",
      "{600}",
      "(?:",
      "(?i)",
      "(?P<n>",
      "(?=",
      "[^",
      "[:alpha:]",
      "\\d",
      "\\b",
      "\\pL",
      "\\x41",
      "\\Q",
      "\\E",
      "é",
    ],
  );
  const pattern = fc.array(piece, { maxLength: 12 }).map((parts) => parts.join(""));
  fc.assert(
    fc.property(pattern, (text) => {
      if (checkRe2(text) === undefined) RE2JS.compile(text);
    }),
    { numRuns: 3000 },
  );
});
