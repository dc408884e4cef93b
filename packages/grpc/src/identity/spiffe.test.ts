import { expect, test } from "vitest";
import { parseSpiffeId, workloadSpiffeId } from "./spiffe.ts";

test("a workload's id gives its trust domain, namespace and service account", () => {
  expect(parseSpiffeId("spiffe://cluster.local/ns/shop/sa/cart")).toEqual({
    uri: "spiffe://cluster.local/ns/shop/sa/cart",
    trustDomain: "cluster.local",
    path: "/ns/shop/sa/cart",
    workload: { namespace: "shop", serviceAccount: "cart" },
  });
});

test("an id of another shape is an id without a workload", () => {
  expect(parseSpiffeId("spiffe://example.org/billing")?.workload).toBeUndefined();
  expect(parseSpiffeId("spiffe://example.org")?.path).toBe("");
});

test.each([
  "spiffe://Cluster.Local/ns/a/sa/b",
  "spiffe://cluster.local:443/ns/a/sa/b",
  "spiffe://user@cluster.local/ns/a/sa/b",
  "spiffe:///ns/a/sa/b",
  "spiffe://cluster.local/ns/a/sa/b/",
  "spiffe://cluster.local//ns/a/sa/b",
  "spiffe://cluster.local/ns/a/../sa/b",
  "spiffe://cluster.local/ns/a/./sa/b",
  "spiffe://cluster.local/ns/a%2fb/sa/c",
  "spiffe://cluster.local/ns/a/sa/b?x",
  "spiffe://cluster.local/ns/a/sa/b#x",
  "spiffe://cluster.local/ns/a/sa/b\n",
  "SPIFFE://cluster.local/ns/a/sa/b",
  "https://cluster.local/ns/a/sa/b",
  `spiffe://cluster.local/${"a".repeat(2048)}`,
  "",
])("%j is no SPIFFE id", (uri) => {
  expect(parseSpiffeId(uri)).toBeUndefined();
});

test("an id is made only of parts that an id can carry", () => {
  expect(workloadSpiffeId("cluster.local", "shop", "cart").uri).toBe("spiffe://cluster.local/ns/shop/sa/cart");
  expect(() => workloadSpiffeId("cluster.local", "shop/sa/root", "cart")).toThrow("no SPIFFE id");
  expect(() => workloadSpiffeId("cluster.local", "..", "cart")).toThrow("no SPIFFE id");
});
