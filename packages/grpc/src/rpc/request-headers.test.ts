import { expect, test } from "vitest";
import { Metadata } from "./metadata.ts";
import { requestHeaders } from "./request-headers.ts";

test("a request says its timeout first, then its metadata in order, however many entries there are", () => {
  const metadata = new Metadata();
  const expected = ["grpc-timeout", "5S"];
  for (let entry = 0; entry < 12; entry++) {
    metadata.append(`x-${entry}`, `${entry}`);
    expected.push(`x-${entry}`, `${entry}`);
    expect(requestHeaders("5S", metadata)).toEqual(expected);
  }
  expect(requestHeaders(undefined, undefined)).toEqual([]);
});

test("metadata that is passed on leaves its peer's headers behind, changed on the way or not", () => {
  const headers = [":path", "/p", "grpc-timeout", "1S", "user-agent", "peer", "x-a", "1"];
  expect(requestHeaders("5S", Metadata.received(headers))).toEqual(["grpc-timeout", "5S", "x-a", "1"]);
  const changed = Metadata.received(headers);
  changed.set("x-b", "2");
  expect(requestHeaders("5S", changed)).toEqual(["grpc-timeout", "5S", "x-a", "1", "x-b", "2"]);
  const merged = new Metadata({ "x-c": "3" });
  merged.merge(changed);
  expect(requestHeaders(undefined, merged)).toEqual(["x-c", "3", "x-a", "1", "x-b", "2"]);
});
