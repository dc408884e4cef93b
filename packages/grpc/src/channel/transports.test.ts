import { mkdtemp, rm } from "node:fs/promises";
import {
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Stream,
} from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import type { ChannelCredentials } from "../identity/credentials.ts";
import type { TlsMaterial } from "../identity/material.ts";
import { staticIdentity } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame } from "./testing/http2-server.ts";
import { packageVersion } from "./user-agent.ts";

const request = Buffer.from("request");
const ids = { server: "spiffe://test/ns/a/sa/server", client: "spiffe://test/ns/a/sa/client" };

function clientOf(target: string, options: ChannelOptions = {}, clock = new ManualClock()) {
  const channel = new Channel(target, options, new SubchannelPool({ clock, random: () => 0 }));
  return { clock, channel, client: createClient(blobService, channel), [Symbol.asyncDispose]: () => channel.close() };
}

async function listening<S extends Http2Server | Http2SecureServer>(server: S, path?: string) {
  const sessions: { destroy(): void }[] = [];
  server.on("session", (session) => sessions.push(session));
  await new Promise<void>((resolve) =>
    path === undefined ? server.listen(0, "127.0.0.1", resolve) : server.listen(path, resolve),
  );
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      for (const session of sessions) session.destroy();
    },
  };
}

/** mTLS server that answers with the scheme it was asked with. */
async function secureServer(material: TlsMaterial) {
  const server = createSecureServer({
    key: material.privateKeyPem,
    cert: material.certificateChainPem,
    ca: material.rootsPem,
    requestCert: true,
    rejectUnauthorized: true,
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => answer(stream, frame(String(headers[":scheme"]))));
  return listening(server);
}

function spiffe(material: TlsMaterial, expected: string): ChannelCredentials {
  const identity = staticIdentity(material);
  const allowed = { kind: "ids", ids: [expected] } as const;
  return { kind: "tls", tls: { identity, trust: identity, verify: { kind: "spiffe", allowed } } };
}

test("calls over mTLS, as https", async () => {
  const authority = await createTestAuthority();
  await using server = await secureServer(await authority.issue({ uris: [ids.server] }));
  const credentials = spiffe(await authority.issue({ uris: [ids.client] }), ids.server);
  await using it = clientOf(`127.0.0.1:${server.port}`, { credentials });
  expect((await it.client.unary(request)).toString()).toBe("https");
});

test("a server that is somebody else gets no call; the error says who it is", async () => {
  const authority = await createTestAuthority();
  await using server = await secureServer(await authority.issue({ uris: ["spiffe://test/ns/a/sa/other"] }));
  const credentials = spiffe(await authority.issue({ uris: [ids.client] }), ids.server);
  await using it = clientOf(`127.0.0.1:${server.port}`, { credentials });
  const error = await rejection(it.client.unary(request));
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toContain(`connection to 127.0.0.1:${server.port} failed`);
  expect(error.details).toContain("it is spiffe://test/ns/a/sa/other, expected spiffe://test/ns/a/sa/server");
});

test("a connection is left for a new one when its peer's certificate ends", async () => {
  const authority = await createTestAuthority();
  const clock = new ManualClock();
  const notAfter = new Date(Date.now() + 3_600_000);
  clock.advance(Date.now() - clock.now());
  await using server = await secureServer(await authority.issue({ uris: [ids.server], notAfter }));
  const credentials = spiffe(await authority.issue({ uris: [ids.client] }), ids.server);
  await using it = clientOf(`127.0.0.1:${server.port}`, { credentials }, clock);
  await it.client.unary(request);
  expect(it.channel.connectivityState()).toBe("READY");
  clock.advance(3_600_000);
  expect(it.channel.connectivityState()).toBe("IDLE");
});

test("plaintext where the peer expects TLS says so", async () => {
  const authority = await createTestAuthority();
  await using server = await secureServer(await authority.issue({ uris: [ids.server] }));
  await using it = clientOf(`127.0.0.1:${server.port}`);
  const error = await rejection(it.client.unary(request));
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toContain("it may expect TLS");
});

test("calls over a unix socket", async () => {
  const folder = await mkdtemp(join(tmpdir(), "weft-"));
  const path = join(folder, "s.sock");
  const server = createServer();
  server.on("stream", (stream: ServerHttp2Stream, headers) => answer(stream, frame(String(headers[":authority"]))));
  await using _ = await listening(server, path);
  await using it = clientOf(`unix:${path}`);
  expect((await it.client.unary(request)).toString()).toBe("localhost");
  await rm(folder, { recursive: true });
});

/** Takes connections, sends its SETTINGS and never answers anything. */
async function silentServer() {
  const server = createTcpServer((socket) => {
    socket.on("error", () => undefined);
    socket.resume().write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, [Symbol.asyncDispose]: async () => void server.close() };
}

test("a peer that doesn't answer keepalive pings is given up, and its calls fail with the reason", async () => {
  await using server = await silentServer();
  const keepalive = { timeMs: 30_000, timeoutMs: 5000 };
  await using it = clientOf(`127.0.0.1:${server.port}`, { keepalive });
  it.channel.connectivityState(true);
  expect(await it.channel.watchConnectivityState("CONNECTING")).toBe("READY");
  const call = rejection(it.client.unary(request));
  it.clock.advance(30_000);
  expect(it.channel.connectivityState()).toBe("READY");
  it.clock.advance(5000);
  expect(await call).toMatchObject({
    code: "UNAVAILABLE",
    details: `the connection to 127.0.0.1:${server.port} broke: a keepalive ping was not answered within 5000 ms`,
  });
});

test("no keepalive pings are sent while no call is open", async () => {
  await using server = await silentServer();
  await using it = clientOf(`127.0.0.1:${server.port}`, { keepalive: { timeMs: 30_000, timeoutMs: 5000 } });
  it.channel.connectivityState(true);
  await it.channel.watchConnectivityState("CONNECTING");
  it.clock.advance(600_000);
  expect(it.channel.connectivityState()).toBe("READY");
});

test("the user agent names this package's version", () => {
  expect(packageVersion).toBe(packageJson.version);
});
