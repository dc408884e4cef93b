import { expect, test } from "vitest";
import { RpcError } from "./error.ts";
import { parseStatus, Status, statusName, statusOfHttp, statusOfReset } from "./status.ts";

test("names and numbers belong together", () => {
  for (const [name, code] of Object.entries(Status)) expect(statusName(code)).toBe(name);
  expect(statusName(99)).toBe("UNKNOWN");
});

test.each([
  ["0", 0],
  ["16", 16],
  ["17", 2],
  ["", 2],
  ["-1", 2],
  ["0x0", 2],
  ["000", 2],
])("grpc-status %j is %d: what isn't a code is never OK", (text, code) => {
  expect(parseStatus(text)).toBe(code);
});

test.each([
  ["400", "INTERNAL"],
  ["401", "UNAUTHENTICATED"],
  ["403", "PERMISSION_DENIED"],
  ["404", "UNIMPLEMENTED"],
  ["429", "UNAVAILABLE"],
  ["502", "UNAVAILABLE"],
  ["503", "UNAVAILABLE"],
  ["504", "UNAVAILABLE"],
  ["200", "UNKNOWN"],
  ["500", "UNKNOWN"],
])("HTTP %s without a grpc-status is %s", (http, name) => {
  expect(statusOfHttp(http)).toBe(name);
});

test.each([
  [0x0, "INTERNAL"],
  [0x1, "INTERNAL"],
  [0x7, "UNAVAILABLE"],
  [0x8, "CANCELLED"],
  [0xb, "RESOURCE_EXHAUSTED"],
  [0xc, "PERMISSION_DENIED"],
])("a reset with code %d is %s", (code, name) => {
  expect(statusOfReset(code)).toBe(name);
});

test("an RpcError says its code in its message, and has name and number", () => {
  const cause = new Error("why");
  const error = new RpcError("NOT_FOUND", "no such thing", { cause });
  expect([error.message, error.code, error.status, error.details, error.cause]).toEqual([
    "NOT_FOUND: no such thing",
    "NOT_FOUND",
    5,
    "no such thing",
    cause,
  ]);
});

test("what user code throws becomes UNKNOWN with its message", () => {
  expect(RpcError.from(new TypeError("boom"))).toMatchObject({ code: "UNKNOWN", details: "boom" });
  expect(RpcError.from("text")).toMatchObject({ code: "UNKNOWN", details: "text" });
});
