import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import type { TestAuthority, TestLeaf } from "../identity/testing/certificates.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";
import { startGrpcJsServer } from "./testing/grpc-js-server.ts";

/** The code of a call by IP address over TLS, to a server whose certificate says `leaf`. */
async function codeOfCall(authority: TestAuthority, leaf: TestLeaf): Promise<grpc.status> {
  const { privateKeyPem, certificateChainPem } = await authority.issue(leaf);
  const pair = { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
  const { server, port } = await startGrpcJsServer(
    new weft.Server(),
    {},
    grpc.ServerCredentials.createSsl(null, [pair]),
  );
  const credentials = grpc.credentials.createSsl(Buffer.from(authority.rootPem));
  await using client = new BytesClient(new weft.Client(`127.0.0.1:${port}`, credentials));
  const { status } = await client.unary(Buffer.from("hello"), { deadline: Date.now() + 10_000 });
  server.forceShutdown();
  return status.code;
}

test("a server dialled by its IP address proves that address", async () => {
  const authority = await createTestAuthority();
  expect(await codeOfCall(authority, { ips: ["127.0.0.1"] })).toBe(grpc.status.OK);
  expect(await codeOfCall(authority, { ips: ["127.0.0.2"], dns: ["localhost"] })).toBe(grpc.status.UNAVAILABLE);
});
