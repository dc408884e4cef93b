import { expect, test } from "vitest";
import { attributeNack } from "./nack-attribution.ts";

test("finds the names that the known clients quote", () => {
  const names = ["outbound|7070|v1|echo.shop.svc.cluster.local", "outbound|7070|v2|echo.shop.svc.cluster.local"];
  const go = `xds: error validating "${names[1]}": unexpected lbPolicy RING_HASH in response`;
  const core = `xDS response validation errors: [resource index 1: ${names[1]}: INVALID_ARGUMENT: errors]`;
  const node = `Error: ${names[1]}: Cluster validation failed`;
  for (const text of [go, core, node]) expect(attributeNack(text, names)).toEqual([names[1]]);
});

test("does not blame a name for what is said of a longer one", () => {
  expect(attributeNack("bad cluster echo.shop", ["echo", "echo.shop"])).toEqual(["echo.shop"]);
  expect(attributeNack("bad clusters echo.shop and echo", ["echo", "echo.shop"])).toEqual(["echo.shop", "echo"]);
});

test("does not find names inside words", () => {
  expect(attributeNack("the cluster is invalid", ["us", "valid", "is"])).toEqual(["is"]);
});

test("blames all where the text names none", () => {
  expect(attributeNack("something is wrong", ["a.b", "c.d"])).toEqual(["a.b", "c.d"]);
});
