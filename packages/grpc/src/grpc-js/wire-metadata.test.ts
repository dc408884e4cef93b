import { Metadata } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { wireMetadata } from "./wire-metadata.ts";

test("bytes go out in base64 without padding, text as it is", () => {
  const metadata = new Metadata();
  for (const length of [1, 2, 3]) metadata.add("x-bin", Buffer.alloc(length));
  metadata.add("x-text", "a==");
  const headers: string[] = [];
  wireMetadata(metadata).appendTo(headers);
  expect(headers).toEqual(["x-bin", "AA", "x-bin", "AAA", "x-bin", "AAAA", "x-text", "a=="]);
});
