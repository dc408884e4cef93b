import { mkdtemp, rm } from "node:fs/promises";
import { createSecureServer, createServer, type Http2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { ChannelCredentials } from "../identity/credentials.ts";
import { staticRoots } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { startConnectProxy } from "./testing/connect-proxy.ts";
import { inEnvironment } from "./testing/environment.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";

const request = Buffer.from("request");

function clientOf(target: string, options: ChannelOptions = {}) {
  const channel = new Channel(target, options, new SubchannelPool());
  const client = createClient(blobService, channel);
  return { call: async () => String(await client.unary(request)), [Symbol.asyncDispose]: () => channel.close() };
}

/** Answers with the authority that it was called by. */
function answerAuthority(stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>): void {
  answer(stream, frame(String(headers[":authority"])));
}

const startServer = () => startHttp2Server(answerAuthority);

test("a name that only the proxy knows is reached through it", async () => {
  await using server = await startServer();
  await using proxy = await startConnectProxy({ "a.example:443": server.port });
  await using client = clientOf("dns:///a.example", { proxy: proxy.url });
  expect(await client.call()).toBe("a.example");
  await client.call();
  expect(proxy.requests.map(({ peer, headers }) => [peer, headers])).toEqual([
    ["a.example:443", { host: "a.example:443" }],
  ]);
});

test("TLS goes through a proxy from end to end: the certificate is the server's, for the target's name", async () => {
  const authority = await createTestAuthority();
  const { privateKeyPem, certificateChainPem } = await authority.issue({ dns: ["a.example"] });
  const server = createSecureServer({ key: privateKeyPem, cert: certificateChainPem }).on("stream", answerAuthority);
  await using it = await listening(server);
  await using proxy = await startConnectProxy({ "a.example:443": it.port, "b.example:443": it.port });
  const credentials: ChannelCredentials = {
    kind: "tls",
    tls: { trust: staticRoots(authority.rootPem), verify: { kind: "hostname" } },
  };
  await using client = clientOf("a.example:443", { credentials, proxy: proxy.url });
  expect(await client.call()).toBe("a.example:443");
  await using other = clientOf("b.example:443", { credentials, proxy: proxy.url });
  const { details } = await rejection(other.call());
  expect(details).toContain(`connection to b.example:443 through proxy ${proxy.address} failed: b.example`);
});

test("each address of an ipv4 target is reached through the proxy", async () => {
  await using server = await startServer();
  await using proxy = await startConnectProxy({ "192.0.2.1:5": server.port, "192.0.2.2:6": server.port });
  await using client = clientOf("ipv4:192.0.2.1:5,192.0.2.2:6", { proxy: proxy.url, loadBalancing: "round_robin" });
  await client.call();
  await expect.poll(() => proxy.requests.map(({ peer }) => peer).sort()).toEqual(["192.0.2.1:5", "192.0.2.2:6"]);
});

test("so is that of an ipv6 target, in brackets", async () => {
  await using server = await startServer();
  await using proxy = await startConnectProxy({ "[2001:db8::1]:443": server.port });
  await using client = clientOf("ipv6:[2001:db8::1]", { proxy: proxy.url });
  await client.call();
  expect(proxy.requests).toHaveLength(1);
});

test("the proxy is told who asks; its refusal is the call's error, without the password", async () => {
  const challenge = "407 Proxy Authentication Required";
  const expected = `Basic ${Buffer.from("ada:secret").toString("base64")}`;
  await using server = await startServer();
  await using proxy = await startConnectProxy({ "a.example:443": server.port }, ({ headers }) =>
    headers["proxy-authorization"] === expected ? undefined : challenge,
  );
  await using right = clientOf("a.example", { proxy: proxy.url, proxyCredentials: "ada:secret" });
  await right.call();
  await using wrong = clientOf("a.example", { proxy: proxy.url.replace("//", "//ada:wrong@") });
  const error = await rejection(wrong.call());
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toBe(`proxy ${proxy.address} refused CONNECT to a.example:443: ${challenge}`);
});

test("a server that closes is left, and found again through the proxy", async () => {
  await using server = await startServer();
  await using proxy = await startConnectProxy({ "a.example:443": server.port });
  await using client = clientOf("a.example", { proxy: proxy.url });
  await client.call();
  server.sessions[0]?.close();
  await expect.poll(() => server.sessions).toEqual([]);
  expect(await client.call()).toBe("a.example");
  expect(proxy.requests).toHaveLength(2);
});

test("the environment's proxy counts when a channel is made, unless its options say none", async () => {
  await using server = await startServer();
  await using proxy = await startConnectProxy();
  const target = `127.0.0.1:${server.port}`;
  const env = { grpc_proxy: proxy.url };
  await using through = inEnvironment(env, () => clientOf(target));
  await using past = inEnvironment(env, () => clientOf(target, { proxy: false }));
  await using excepted = inEnvironment({ ...env, no_proxy: "127.0.0.0/8" }, () => clientOf(target));
  await past.call();
  await excepted.call();
  expect(proxy.requests).toEqual([]);
  await through.call();
  expect(proxy.requests.map(({ peer }) => peer)).toEqual([target]);
});

test("a unix socket is reached without the environment's proxy", async () => {
  const folder = await mkdtemp(join(tmpdir(), "weft-"));
  const path = join(folder, "s.sock");
  await using _ = await listening(createServer().on("stream", answerAuthority), path);
  await using client = inEnvironment({ grpc_proxy: "http://127.0.0.1:1" }, () => clientOf(`unix:${path}`));
  expect(await client.call()).toBe("localhost");
  await rm(folder, { recursive: true });
});

test("a proxy in the environment that can't be meant fails the calls, and nothing else", async () => {
  await using client = inEnvironment({ grpc_proxy: "socks5://ada:secret@proxy" }, () => clientOf("a.example"));
  const error = await rejection(client.call());
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toContain("the environment's grpc_proxy is no http://host:port of a proxy");
  expect(error.details).not.toContain("secret");
});

async function listening(server: Pick<Http2Server, "listen" | "address" | "close" | "on">, path?: string) {
  const sessions: { destroy(): void }[] = [];
  server.on("session", (session) => sessions.push(session));
  await new Promise<void>((resolve) => {
    if (path === undefined) server.listen(0, "127.0.0.1", resolve);
    else server.listen(path, resolve);
  });
  return {
    port: path === undefined ? (server.address() as AddressInfo).port : 0,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}
