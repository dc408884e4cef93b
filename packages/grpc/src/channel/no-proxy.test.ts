import { expect, test } from "vitest";
import { parseNoProxy } from "./no-proxy.ts";

test.each([
  ["a.example", "a.example", true],
  ["a.example", "b.a.example", true],
  ["a.example", "aa.example", true],
  ["example", "a.example", true],
  [".example", "a.example", true],
  [".example", "example", false],
  ["A.Example", "a.eXAMPLE", true],
  ["b.example, a.example", "a.example", true],
  ["a.example", "a.example.org", false],
  ["*", "a.example", true],
  ["", "a.example", false],
  ["b.example,", "a.example", false],
  [" , ,", "a.example", false],
  ["10.1.2.3", "10.1.2.3", true],
  ["10.1.2.3", "10.1.2.4", false],
  ["10.0.0.0/8", "10.1.2.3", true],
  ["10.9.9.9/8", "10.1.2.3", true],
  ["10.0.0.0/8", "11.1.2.3", false],
  ["0.0.0.0/0", "11.1.2.3", true],
  ["10.1.2.3/32", "10.1.2.4", false],
  ["10.1.2.3/33", "10.1.2.3", false],
  ["10.0.0.0/8", "ten.example", false],
  ["10.0.0.0/8x", "10.1.2.3", false],
  ["fd00::/8", "fd12::1", true],
  ["fd00::/8", "fe80::1", false],
  ["::1", "::1", true],
])("no_proxy %j and %s: %s", (list, host, expected) => {
  expect(parseNoProxy(list)(host)).toBe(expected);
});
