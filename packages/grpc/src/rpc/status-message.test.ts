import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeStatusMessage, encodeStatusMessage } from "./status-message.ts";

describe("grpc-message", () => {
  test("says what was said, for every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (details) => {
        const encoded = encodeStatusMessage(details);
        expect(encoded).toMatch(/^[\x20-\x7e]*$/);
        expect(decodeStatusMessage(encoded)).toBe(details);
      }),
    );
  });

  test.each([
    ["plain text", "plain text"],
    ["50 %", "50 %25"],
    ["\t\n☺", "%09%0A%E2%98%BA"],
  ])("%j is written %j", (details, encoded) => {
    expect(encodeStatusMessage(details)).toBe(encoded);
  });

  test.each([
    ["50 %", "50 %"],
    ["%zz%4", "%zz%4"],
    ["%e2%98%ba", "☺"],
    ["%ff", "\ufffd"],
  ])("broken or lower-case escapes: %j is read %j", (encoded, details) => {
    expect(decodeStatusMessage(encoded)).toBe(details);
  });
});
