import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeaderTemplate } from "../http2/headers.ts";
import { Metadata } from "./metadata.ts";

const name = fc.stringMatching(/^[a-z0-9_.][a-z0-9_.-]{0,12}$/).map((text) => `x-${text}`);
const textName = name.filter((text) => !text.endsWith("-bin"));
const binaryName = name.map((text) => `${text}-bin`);
const text = fc.stringMatching(/^[\x20-\x7e]{0,20}$/).map((value) => value.trim());
const bytes = fc.uint8Array({ maxLength: 20 });
const entry = fc.oneof(fc.tuple(textName, text), fc.tuple(binaryName, bytes));

function wire(metadata: Metadata): string[] {
  const headers: string[] = [];
  metadata.appendTo(headers);
  return headers;
}

/** Typed arrays of different classes aren't equal to vitest. */
function plain(metadata: Metadata): (readonly [string, string | number[]])[] {
  return [...metadata].map(([key, value]) => [key, typeof value === "string" ? value : [...value]] as const);
}

describe("Metadata", () => {
  test("comes out of the wire as it went in", () => {
    fc.assert(
      fc.property(fc.array(entry), (entries) => {
        const sent = new Metadata(entries as [string, string | Uint8Array][]);
        expect(plain(Metadata.received(wire(sent)))).toEqual(plain(sent));
      }),
    );
  });

  test("takes nothing that HTTP/2 doesn't carry", () => {
    const anything = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.string({ unit: "grapheme-ascii" }),
      text,
      fc.constantFrom(" a", "a\t", "\x7f"),
    );
    const names = fc.oneof(
      anything,
      name,
      fc.constantFrom("te", "TE", "connection", ":path", "host", "content-length", "x y", ""),
    );
    fc.assert(
      fc.property(names, fc.oneof(anything, bytes), (key, value) => {
        const metadata = new Metadata();
        try {
          metadata.append(key, value);
        } catch (error) {
          expect(error).toBeInstanceOf(TypeError);
          return;
        }
        expect(metadata.isSendable).toBe(true);
        // Throws on what can't be sent.
        expect(new HeaderTemplate(wire(metadata)).headers).toHaveLength(2);
      }),
      { numRuns: 2000 },
    );
  });

  test("what came from a peer is judged again before it is sent on", () => {
    const received = Metadata.received([":path", "/", "x-a", "1"]);
    const merged = new Metadata({ "x-b": "2" });
    merged.merge(received);
    expect([received, received.clone(), merged].map((each) => each.isSendable)).toEqual([false, false, false]);
  });

  test("has bytes under -bin names and text under others, by type too", () => {
    const metadata = new Metadata({ "x-text": "a", "x-bytes-bin": Uint8Array.of(1, 2) });
    const textual: string | undefined = metadata.get("x-text");
    const binary: Uint8Array | undefined = metadata.get("X-Bytes-Bin");
    expect([textual, [...(binary ?? [])]]).toEqual(["a", [1, 2]]);
  });

  test("writes base64 without padding", () => {
    expect(wire(new Metadata({ "x-bin": Uint8Array.of(1) }))).toEqual(["x-bin", "AQ"]);
  });

  test.each([
    ["AQ", [[1]]],
    ["AQ==", [[1]]],
    ["AQ,Ag==", [[1], [2]]],
    ["AQ, Ag", [[1], [2]]],
    ["!", []],
    ["A", []],
  ])("reads the -bin value %j", (value, expected) => {
    expect(
      Metadata.received(["x-bin", value])
        .getAll("x-bin")
        .map((part) => [...part]),
    ).toEqual(expected);
  });

  test("does not split text at commas", () => {
    expect(Metadata.received(["x", "a,b"]).getAll("x")).toEqual(["a,b"]);
  });

  test("keeps several values of one name in order", () => {
    const metadata = new Metadata([
      ["x", "1"],
      ["y", "2"],
      ["X", "3"],
    ]);
    expect([metadata.get("x"), metadata.getAll("x")]).toEqual(["1", ["1", "3"]]);
  });

  test("set replaces all values, delete removes them", () => {
    const metadata = new Metadata([
      ["x", "1"],
      ["x", "2"],
    ]);
    metadata.set("x", "3");
    expect(metadata.getAll("x")).toEqual(["3"]);
    expect([metadata.delete("x"), metadata.delete("x"), metadata.has("x")]).toEqual([true, false, false]);
  });

  test("hides the transport's own headers of what was received", () => {
    const received = Metadata.received([
      ":path",
      "/a/b",
      "te",
      "trailers",
      "grpc-timeout",
      "1S",
      "user-agent",
      "u",
      "x",
      "y",
    ]);
    expect([...received]).toEqual([
      ["user-agent", "u"],
      ["x", "y"],
    ]);
    expect(received.get("grpc-timeout")).toBeUndefined();
  });

  test("changing what was received leaves the transport's list alone", () => {
    const headers = Object.freeze([":status", "200", "x", "y"]);
    const received = Metadata.received(headers);
    received.append("z", "1");
    expect(wire(received)).toEqual(["x", "y", "z", "1"]);
  });

  test("what was received can be sent on, without the transport's headers", () => {
    const received = Metadata.received([":path", "/a/b", "user-agent", "theirs", "x-bin", "AQ=="]);
    expect(wire(received)).toEqual(["x-bin", "AQ=="]);
    const merged = new Metadata({ y: "1" });
    merged.merge(received);
    expect(wire(merged)).toEqual(["y", "1", "x-bin", "AQ=="]);
  });

  test("a clone changes on its own", () => {
    const metadata = new Metadata({ x: "1" });
    const copy = metadata.clone();
    copy.append("x", "2");
    metadata.append("x", "3");
    expect([metadata.getAll("x"), copy.getAll("x")]).toEqual([
      ["1", "3"],
      ["1", "2"],
    ]);
  });

  test.each(["", "a b", "ä", "a:b", "te", ":path", "content-type", "grpc-status", "connection", "host", "user-agent"])(
    "refuses the name %j",
    (bad) => {
      expect(() => new Metadata().set(bad, "v")).toThrow(TypeError);
    },
  );

  test.each(["a\nb", "ä", "\u0000", "tab\t"])("refuses the value %j", (bad) => {
    expect(() => new Metadata().set("x", bad)).toThrow(TypeError);
  });

  test("refuses text under a -bin name and bytes under others", () => {
    expect(() => new Metadata().set("x-bin", "text")).toThrow("takes bytes");
    expect(() => new Metadata().set("x", Uint8Array.of(1))).toThrow("takes text");
  });
});
