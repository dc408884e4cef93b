import { expect, test } from "vitest";
import { isGrpcContentType } from "./response.ts";

test.each([
  ["application/grpc", true],
  ["application/grpc+proto", true],
  ["application/grpc; charset=utf-8", true],
  ["application/grpc+proto;v=1", true],
  ["application/grpc+json", false],
  ["application/grpc+protobuf", false],
  ["application/grpc-web", false],
  ["text/html", false],
  [undefined, false],
])("messages of content type %s can be read: %s", (contentType, isRead) => {
  expect(isGrpcContentType(contentType)).toBe(isRead);
});
