import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, stat, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Client, credentials as grpcJsCredentials, status } from "@grpc/grpc-js";
import { beforeAll, expect, test } from "vitest";
import { bytesService } from "../grpc-js/testing/bytes-service.ts";
import { BytesClient } from "../grpc-js/testing/grpc-js-client.ts";
import type { TlsServerSettings } from "../identity/credentials.ts";
import type { TlsMaterial, TrustSource } from "../identity/material.ts";
import { staticIdentity, staticRoots } from "../identity/static-source.ts";
import { createTestAuthority, type TestAuthority } from "../identity/testing/certificates.ts";
import { FakeClock } from "../identity/testing/fake-clock.ts";
import type { ListeningMode, ListeningPolicy } from "./listening-policy.ts";
import { createServer, type ServerOptions } from "./server.ts";

const workload = "spiffe://cluster.local/ns/echo/sa/client";
let authority: TestAuthority;
let serverMaterial: TlsMaterial;
let clientMaterial: TlsMaterial;

beforeAll(async () => {
  authority = await createTestAuthority();
  serverMaterial = await authority.issue({ dns: ["localhost"], ips: ["127.0.0.1"] });
  clientMaterial = await authority.issue({ uris: [workload] });
});

/** A policy that a test changes. */
class ManualPolicy implements ListeningPolicy {
  mode: ListeningMode;
  closed = false;
  #changed = () => this.closed;

  constructor(mode: ListeningMode) {
    this.mode = mode;
  }

  change(mode: ListeningMode): void {
    this.mode = mode;
    this.#changed();
  }

  watch(changed: () => void): void {
    this.#changed = () => {
      changed();
      return this.closed;
    };
  }

  close(): void {
    this.closed = true;
  }
}

async function start(options: ServerOptions, address = "127.0.0.1:0") {
  const server = createServer(options);
  const running = { entered: Promise.withResolvers<void>(), release: Promise.withResolvers<void>() };
  server.add(bytesService, {
    unary: async (request, { peer }) =>
      Buffer.from(request.length > 0 ? peer.address : (peer.identity?.uri ?? "nobody")),
    async collect() {
      running.entered.resolve();
      await running.release.promise;
      return Buffer.from("done");
    },
    async *expand() {
      // Not called here.
    },
    async *chat() {
      // Not called here.
    },
  });
  const bound = await server.listen(address);
  return { server, running, ...bound, [Symbol.asyncDispose]: () => server.close(0) };
}

function mutualTls(allowed: readonly string[] = [workload]): TlsServerSettings {
  return {
    identity: staticIdentity(serverMaterial),
    clients: {
      kind: "certificate",
      require: true,
      trust: staticRoots(authority.rootPem),
      verify: { kind: "spiffe", allowed: { kind: "ids", ids: allowed } },
    },
  };
}

function tlsClient(port: number, material?: TlsMaterial): BytesClient {
  const roots = Buffer.from(authority.rootPem);
  const own =
    material === undefined ? [] : [Buffer.from(material.privateKeyPem), Buffer.from(material.certificateChainPem)];
  return new BytesClient(new Client(`localhost:${port}`, grpcJsCredentials.createSsl(roots, own[0], own[1])));
}

test("TLS: a client that trusts the root is served, one that speaks plaintext is not", async () => {
  const tls: TlsServerSettings = { identity: staticIdentity(serverMaterial), clients: { kind: "anonymous" } };
  await using server = await start({ credentials: { kind: "tls", tls } });
  await using secure = tlsClient(server.port);
  await using plain = BytesClient.plaintext(server.address);
  expect((await secure.unary(Buffer.of())).messages[0]?.toString()).toBe("nobody");
  expect((await plain.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("mTLS: the handler sees the verified SPIFFE id, and a client without a certificate is refused", async () => {
  await using server = await start({ credentials: { kind: "tls", tls: mutualTls() } });
  await using known = tlsClient(server.port, clientMaterial);
  await using unknown = tlsClient(server.port);
  expect((await known.unary(Buffer.of())).messages[0]?.toString()).toBe(workload);
  expect((await unknown.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("mTLS: a certificate of the right root with another identity is refused", async () => {
  await using server = await start({ credentials: { kind: "tls", tls: mutualTls([`${workload}-other`]) } });
  await using client = tlsClient(server.port, clientMaterial);
  expect((await client.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("a switch to mTLS drains plaintext connections: running calls end, new ones need a certificate", async () => {
  const policy = new ManualPolicy({ kind: "plaintext" });
  await using server = await start({ listening: async () => policy });
  await using plain = BytesClient.plaintext(server.address);
  const { outcome } = plain.collect();
  await server.running.entered.promise;
  policy.change({ kind: "tls", credentials: mutualTls() });
  server.running.release.resolve();
  expect((await outcome).messages[0]?.toString()).toBe("done");
  expect((await plain.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
  await using secure = tlsClient(server.port, clientMaterial);
  expect((await secure.unary(Buffer.of())).messages[0]?.toString()).toBe(workload);
});

test("a call that outlives the grace of a drain is cut", async () => {
  const policy = new ManualPolicy({ kind: "plaintext" });
  await using server = await start({ listening: async () => policy, drainGraceMs: 20 });
  await using plain = BytesClient.plaintext(server.address);
  const { outcome } = plain.collect();
  await server.running.entered.promise;
  policy.change({ kind: "tls", credentials: mutualTls() });
  expect((await outcome).status.code).not.toBe(status.OK);
});

test("a switch back to plaintext drains TLS connections", async () => {
  const policy = new ManualPolicy({ kind: "tls", credentials: mutualTls() });
  await using server = await start({ listening: async () => policy });
  await using secure = tlsClient(server.port, clientMaterial);
  await secure.unary(Buffer.of());
  policy.change({ kind: "plaintext" });
  await secure.unary(Buffer.of());
  await using plain = BytesClient.plaintext(server.address);
  expect((await plain.unary(Buffer.of())).status.code).toBe(status.OK);
  expect((await secure.unary(Buffer.of())).status.code).toBe(status.UNAVAILABLE);
});

test("new credentials are used by new handshakes, and connections that still conform stay", async () => {
  const first = mutualTls();
  const policy = new ManualPolicy({ kind: "tls", credentials: first });
  await using server = await start({ listening: async () => policy });
  await using early = tlsClient(server.port, clientMaterial);
  await early.unary(Buffer.of());
  const other = await authority.issue({ dns: ["localhost"], ips: ["127.0.0.1"] });
  policy.change({ kind: "tls", credentials: { ...first, identity: staticIdentity(other) } });
  expect(await serialShownAt(server.port)).toBe(serialOf(other));
  expect((await early.unary(Buffer.of())).status.code).toBe(status.OK);
});

test("a connection is drained before its client's certificate ends", async () => {
  const clock = new FakeClock();
  await using server = await start({ credentials: { kind: "tls", tls: mutualTls() }, clock, drainGraceMs: 1000 });
  await using client = tlsClient(server.port, clientMaterial);
  const first = await peerOf(client);
  clock.advance(clientMaterial.notAfter.getTime() - clock.now() - 2000);
  expect(await peerOf(client)).toBe(first);
  clock.advance(1000);
  expect(await peerAfterGoodbye(client)).not.toBe(first);
});

test("when a root is withdrawn, connections that came by a client certificate are drained", async () => {
  let pem = authority.rootPem + (await createTestAuthority("other")).rootPem;
  let changed = () => pem.length;
  const trust: TrustSource = {
    roots: () => pem,
    watch(listener) {
      changed = () => {
        listener();
        return pem.length;
      };
      return () => pem.length;
    },
  };
  const tls = mutualTls();
  if (tls.clients.kind !== "certificate") expect.unreachable();
  await using server = await start({
    credentials: { kind: "tls", tls: { ...tls, clients: { ...tls.clients, trust } } },
  });
  await using client = tlsClient(server.port, clientMaterial);
  const first = await peerOf(client);
  pem = authority.rootPem + (await createTestAuthority("third")).rootPem;
  changed();
  expect(await peerAfterGoodbye(client)).not.toBe(first);
});

test("a policy that refuses serves nobody", async () => {
  await using server = await start({
    listening: async () => new ManualPolicy({ kind: "refuse", reason: "no listener" }),
  });
  const socket = connect(server.port, "127.0.0.1");
  await once(socket, "close");
  expect(socket.bytesRead).toBe(0);
});

test("a policy that can't be made fails listen and leaves nothing bound", async () => {
  let port = 0;
  const server = createServer({
    listening: async (bound) => {
      port = bound.port;
      throw new Error("no control plane");
    },
  });
  await expect(server.listen("127.0.0.1:0")).rejects.toThrow("no control plane");
  const socket = connect(port, "127.0.0.1");
  await expect(once(socket, "connect")).rejects.toThrow("ECONNREFUSED");
});

test("a policy learns the address as asked for, and what is served there", async () => {
  let seen: unknown;
  await using server = await start(
    {
      portName: "grpc-echo",
      listening: async (bound) => {
        seen = bound;
        return new ManualPolicy({ kind: "plaintext" });
      },
    },
    "0.0.0.0:0",
  );
  expect(seen).toEqual({ host: "0.0.0.0", port: server.port, portName: "grpc-echo", interfaces: ["test.Bytes"] });
});

test("closing takes the address out of what clients know before it says goodbye", async () => {
  const leaving = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const policy = Object.assign(new ManualPolicy({ kind: "plaintext" }), {
    leave() {
      leaving.resolve();
      return left.promise;
    },
  });
  const server = await start({ listening: async () => policy });
  await using client = BytesClient.plaintext(server.address);
  const before = await peerOf(client);
  const closing = server.server.close();
  await leaving.promise;
  expect(await peerOf(client)).toBe(before);
  await using late = BytesClient.plaintext(server.address);
  expect((await late.unary(Buffer.of())).status.code).toBe(status.OK);
  left.resolve();
  await closing;
  expect(policy.closed).toBe(true);
});

test("closing without grace doesn't wait for clients to know", async () => {
  const policy = Object.assign(new ManualPolicy({ kind: "plaintext" }), {
    leave: () => new Promise<void>(() => undefined),
  });
  const server = await start({ listening: async () => policy });
  await server.server.close(0);
  expect(policy.closed).toBe(true);
});

test("a server that is closed while its policy is made gives up, and closes the policy that comes too late", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const made = Promise.withResolvers<ManualPolicy>();
  const server = createServer({
    listening(_bound, signal) {
      asked.resolve(signal);
      return made.promise;
    },
  });
  const listening = server.listen("127.0.0.1:0");
  const signal = await asked.promise;
  await Promise.all([expect(listening).rejects.toThrow("the server is closed"), server.close()]);
  expect(signal.aborted).toBe(true);
  const policy = new ManualPolicy({ kind: "plaintext" });
  made.resolve(policy);
  await made.promise;
  expect(policy.closed).toBe(true);
});

test("listening waits until clients can know of it, serving already", async () => {
  const published = Promise.withResolvers<void>();
  const bound = Promise.withResolvers<number>();
  const policy = Object.assign(new ManualPolicy({ kind: "plaintext" }), { published: () => published.promise });
  const server = createServer({
    async listening({ port }) {
      bound.resolve(port);
      return policy;
    },
  });
  const listening = server.listen("127.0.0.1:0");
  await using client = BytesClient.plaintext(`127.0.0.1:${await bound.promise}`);
  // It serves nothing, but it answers.
  expect((await client.unary(Buffer.of())).status.code).toBe(status.UNIMPLEMENTED);
  published.resolve();
  await listening;
  await server.close(0);
});

test("a client that is turned away in its handshake is told of", async () => {
  const refused = Promise.withResolvers<[string, string]>();
  await using server = await start({
    credentials: { kind: "tls", tls: mutualTls() },
    onHandshakeError: (error, peer) => refused.resolve([error.kind, peer]),
  });
  const socket = connectTls({ port: server.port, host: "127.0.0.1", ALPNProtocols: ["h2"], ca: authority.rootPem });
  socket.on("error", () => socket.destroy());
  const [kind, peer] = await refused.promise;
  expect([kind, peer]).toEqual(["no-certificate", expect.stringMatching(/^127\.0\.0\.1:\d+$/)]);
});

test("a client that pings too often is told so, and disconnected", async () => {
  await using server = await start({ minPingIntervalMs: 60_000 });
  const session = connectHttp2(`http://127.0.0.1:${server.port}`);
  session.on("error", () => session.destroy());
  await once(session, "remoteSettings");
  for (let turn = 0; turn < 4; turn++) session.ping(() => undefined);
  const [code, , debug] = await once(session, "goaway");
  expect([code, String(debug)]).toEqual([11, "too_many_pings"]);
});

test("a connection that is old enough is replaced without a failed call", async () => {
  const clock = new FakeClock();
  await using server = await start({ maxAgeMs: 1000, clock });
  await using client = BytesClient.plaintext(server.address);
  const first = await peerOf(client);
  clock.advance(1100);
  expect(await peerAfterGoodbye(client)).not.toBe(first);
});

test("closing the server closes its policy", async () => {
  const policy = new ManualPolicy({ kind: "plaintext" });
  const server = await start({ listening: async () => policy });
  await server.server.close();
  expect(policy.closed).toBe(true);
});

test("a handshake that doesn't come is given up", async () => {
  await using server = await start({ credentials: { kind: "tls", tls: mutualTls() }, handshakeTimeoutMs: 20 });
  const socket = connect(server.port, "127.0.0.1");
  socket.on("error", () => socket.destroy());
  await once(socket, "close");
  expect(socket.bytesRead).toBe(0);
});

test("connections above the limit are closed at once", async () => {
  await using server = await start({ maxConnections: 1 });
  const first = connect(server.port, "127.0.0.1");
  await once(first, "data");
  const second = connect(server.port, "127.0.0.1");
  await once(second, "close");
  expect([first.destroyed, second.bytesRead]).toEqual([false, 0]);
  first.destroy();
});

test("a unix socket is its owner's alone, and a stale file is replaced", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "weft-")), "server.sock");
  const stale = createNetServer().listen(path);
  await once(stale, "listening");
  // Node removes its file on close: this is what a killed process leaves.
  (stale as unknown as { _handle: { close(): void } })._handle.close();
  await using server = await start({}, `unix:${path}`);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await using client = BytesClient.plaintext(server.address);
  expect((await client.unary(Buffer.of())).status.code).toBe(status.OK);
});

test("a unix socket that somebody listens on, or a file that is none, is left alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "weft-"));
  await using first = await start({}, `unix:${join(folder, "live.sock")}`);
  await expect(start({}, first.address)).rejects.toThrow("EADDRINUSE");
  const file = join(folder, "notes.txt");
  await writeFile(file, "keep me");
  await expect(start({}, `unix:${file}`)).rejects.toThrow("cannot listen on");
  expect(await readFile(file, "utf8")).toBe("keep me");
});

test("an address without a port is refused with what was expected", async () => {
  await expect(createServer().listen("localhost")).rejects.toThrow('cannot listen on "localhost": expected host:port');
});

test.each([
  ["GET", "application/grpc", 405],
  ["POST", "application/json", 415],
  ["POST", "application/grpcfoo", 415],
])("%s with content type %s is HTTP %i", async (method, contentType, expected) => {
  await using server = await start({});
  expect(await httpStatus(server.port, method, contentType)).toBe(expected);
});

async function httpStatus(port: number, method: string, contentType: string): Promise<number | undefined> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  try {
    const stream = session.request({ ":method": method, ":path": "/test.Bytes/Unary", "content-type": contentType });
    stream.end();
    const [headers] = await once(stream, "response");
    return (headers as Record<string, number>)[":status"];
  } finally {
    session.destroy();
  }
}

/** The client's own address as its call came from: another one means another connection. */
async function peerOf(client: BytesClient): Promise<string> {
  const { messages, status: ended } = await client.unary(Buffer.from("address"));
  expect(ended.code).toBe(status.OK);
  return String(messages[0]);
}

/** A call that crosses a GOAWAY is still served where it is; the one after its answer goes elsewhere. */
async function peerAfterGoodbye(client: BytesClient): Promise<string> {
  await peerOf(client);
  return peerOf(client);
}

function serialOf(material: TlsMaterial): string {
  return new X509Certificate(material.certificateChainPem).serialNumber;
}

async function serialShownAt(port: number): Promise<string> {
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    ALPNProtocols: ["h2"],
    ca: authority.rootPem,
    key: clientMaterial.privateKeyPem,
    cert: clientMaterial.certificateChainPem,
  });
  await once(socket, "secureConnect");
  const serial = socket.getPeerX509Certificate()!.serialNumber;
  socket.destroy();
  return serial;
}
