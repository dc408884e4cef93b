import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { staticIdentity } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import type { CallCredentials, CredentialsContext } from "../rpc/call-credentials.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { Channel } from "./channel.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";

const request = Buffer.from("request");
const bearer = (token: string) => new Metadata({ authorization: `Bearer ${token}` });

/** A client over TLS of a server that answers with the `authorization` and `x-call` that it was called with. */
async function secured(callCredentials?: CallCredentials) {
  const authority = await createTestAuthority();
  const material = await authority.issue({ uris: ["spiffe://test/ns/a/sa/server"] });
  const server = createSecureServer({ key: material.privateKeyPem, cert: material.certificateChainPem });
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  server.on("stream", (stream: ServerHttp2Stream, headers) =>
    answer(stream, frame(`${headers["authorization"]} ${headers["x-call"]}`)),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const trust = staticIdentity(material);
  const verify = { kind: "spiffe", allowed: { kind: "ids", ids: ["spiffe://test/ns/a/sa/server"] } } as const;
  const channel = new Channel(
    `127.0.0.1:${port}`,
    {
      credentials: { kind: "tls", tls: { trust, verify } },
      authority: "blob.test:443",
      ...(callCredentials === undefined ? {} : { callCredentials }),
    },
    new SubchannelPool(),
  );
  return {
    client: createClient(blobService, channel),
    async [Symbol.asyncDispose]() {
      await channel.close();
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

test("every call is proven by what its credentials make for it", async () => {
  const asked: CredentialsContext[] = [];
  await using it = await secured(async (context) => {
    asked.push(context);
    return bearer(`${asked.length}`);
  });
  expect((await it.client.unary(request)).toString()).toBe("Bearer 1 undefined");
  expect((await it.client.unary(request)).toString()).toBe("Bearer 2 undefined");
  expect(asked[0]).toEqual({
    path: "/test.Blob/Unary",
    authority: "blob.test:443",
    serviceUrl: "https://blob.test/test.Blob",
  });
});

test("a call's own credentials go beside its channel's", async () => {
  await using it = await secured(() => bearer("channel"));
  const credentials = () => new Metadata({ "x-call": "own" });
  expect((await it.client.unary(request, { credentials })).toString()).toBe("Bearer channel own");
});

test("credentials that fail end the call, with a code that may be theirs", async () => {
  await using it = await secured();
  const fails = (error: Error) => rejection(it.client.unary(request, { credentials: () => Promise.reject(error) }));
  expect((await fails(new Error("no token"))).code).toBe("UNAUTHENTICATED");
  expect((await fails(new RpcError("UNAVAILABLE", "no token service"))).code).toBe("UNAVAILABLE");
  expect((await fails(new RpcError("NOT_FOUND", "no account"))).code).toBe("INTERNAL");
});

test("a call that waits for its credentials ends at its deadline", async () => {
  await using it = await secured(() => new Promise(() => undefined));
  const error = await rejection(it.client.unary(request, { timeoutMs: 20 }));
  expect(error.details).toBe("the deadline passed after 20 ms, waiting for its credentials");
});

test("nothing of them goes out in plaintext, and nobody is asked for them", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  let wasAsked = false;
  const callCredentials = () => {
    wasAsked = true;
    return bearer("secret");
  };
  await using channel = new Channel(`127.0.0.1:${server.port}`, { callCredentials }, new SubchannelPool());
  const error = await rejection(createClient(blobService, channel).unary(request));
  expect([error.code, wasAsked]).toEqual(["UNAUTHENTICATED", false]);
  expect(error.details).toContain("call credentials are not sent in plaintext");
});

test("an xDS channel's fallback to plaintext doesn't carry them either", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const credentials = { kind: "xds", fallback: { kind: "insecure" } } as const;
  const options = { credentials, callCredentials: () => bearer("secret") };
  await using channel = new Channel(`127.0.0.1:${server.port}`, options, new SubchannelPool());
  const error = await rejection(createClient(blobService, channel).unary(request));
  expect(error.code).toBe("UNAUTHENTICATED");
});
