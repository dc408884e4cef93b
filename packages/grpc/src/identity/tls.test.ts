import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { TlsClientSettings, TlsServerSettings } from "./credentials.ts";
import type { IdentitySource, TlsMaterial } from "./material.ts";
import type { AllowedSpiffeIds, PeerVerification } from "./peer-verification.ts";
import { staticIdentity, staticRoots } from "./static-source.ts";
import { createTestAuthority, type TestAuthority, type TestLeaf } from "./testing/certificates.ts";
import { connectTls } from "./tls-client.ts";
import type { HandshakeLimits, TlsConnection } from "./tls-connection.ts";
import { TlsError, type TlsErrorKind } from "./tls-error.ts";
import { acceptTls } from "./tls-server.ts";

const clientId = "spiffe://cluster.local/ns/shop/sa/client";
const serverId = "spiffe://cluster.local/ns/shop/sa/server";
const spiffe = (allowed: AllowedSpiffeIds): PeerVerification => ({ kind: "spiffe", allowed });
const exactly = (...ids: string[]) => spiffe({ kind: "ids", ids });

let authority: TestAuthority;
let stranger: TestAuthority;
let client: TlsMaterial;
let server: TlsMaterial;
beforeAll(async () => {
  authority = await createTestAuthority();
  stranger = await createTestAuthority("another root");
  client = await authority.issue({ uris: [clientId] });
  server = await authority.issue({ uris: [serverId], dns: ["localhost"], ips: ["127.0.0.1"] });
});

const open: { destroy(): void }[] = [];
const listening: Server[] = [];
afterEach(() => {
  // The TLS socket before the raw one under it: see discard().
  for (const socket of open.splice(0).reverse()) socket.destroy();
  for (const listener of listening.splice(0)) listener.close();
});

async function listen(listener: Server, accepted?: (socket: Socket) => void): Promise<AddressInfo> {
  listening.push(listener);
  listener.on("connection", (socket: Socket) => {
    open.push(socket);
    accepted?.(socket);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  return listener.address() as AddressInfo;
}

async function dial(address: AddressInfo): Promise<Socket> {
  const socket = connect(address.port, "127.0.0.1");
  open.push(socket);
  socket.on("error", () => undefined);
  await once(socket, "connect");
  return socket;
}

type Outcome = TlsConnection | TlsError;

/** Both ends of one handshake over loopback. */
async function shake(from: TlsClientSettings, to: TlsServerSettings): Promise<{ client: Outcome; server: Outcome }> {
  const accepted = Promise.withResolvers<Outcome>();
  const address = await listen(createServer(), (socket) => {
    acceptTls(socket, to, "the client").then(accepted.resolve, accepted.resolve);
  });
  const socket = await dial(address);
  const connected = await connectTls(socket, from, "127.0.0.1").catch((error: TlsError) => error);
  return { client: connected, server: await accepted.promise };
}

const clientSettings = (changes: Partial<TlsClientSettings> = {}): TlsClientSettings => ({
  identity: staticIdentity(client),
  trust: staticRoots(authority.rootPem),
  verify: exactly(serverId),
  ...changes,
});

const serverSettings = (
  changes: { identity?: IdentitySource; rootPem?: string; verify?: PeerVerification; require?: boolean } = {},
): TlsServerSettings => ({
  identity: changes.identity ?? staticIdentity(server),
  clients: {
    kind: "certificate",
    require: changes.require ?? true,
    trust: staticRoots(changes.rootPem ?? authority.rootPem),
    verify: changes.verify ?? spiffe({ kind: "trust-domains", trustDomains: ["cluster.local"] }),
  },
});

function connection(outcome: Outcome): TlsConnection {
  if (outcome instanceof TlsError) throw outcome;
  open.push(outcome.socket);
  outcome.socket.on("error", () => undefined);
  return outcome;
}

function refusal(outcome: Outcome): { kind: TlsErrorKind; message: string } {
  if (!(outcome instanceof TlsError)) throw new Error("the handshake succeeded");
  return { kind: outcome.kind, message: outcome.message };
}

const serverOf = async (leaf: TestLeaf, issuer = authority) =>
  serverSettings({ identity: staticIdentity(await issuer.issue(leaf)) });
const clientOf = async (leaf: TestLeaf, issuer = authority) =>
  clientSettings({ identity: staticIdentity(await issuer.issue(leaf)) });

test("each side learns the other's SPIFFE id over TLS 1.3 with HTTP/2", async () => {
  const ends = await shake(clientSettings(), serverSettings());
  expect(connection(ends.client).peer?.spiffeId?.uri).toBe(serverId);
  expect(connection(ends.server).peer?.spiffeId?.uri).toBe(clientId);
  expect(connection(ends.client).socket.getProtocol()).toBe("TLSv1.3");
  expect(connection(ends.client).socket.alpnProtocol).toBe("h2");
});

test("a connection carries the end of its peer's certificate", async () => {
  const ends = await shake(clientSettings(), serverSettings());
  expect(connection(ends.server).peer?.notAfter).toEqual(client.notAfter);
});

test("bytes pass both ways after the handshake", async () => {
  const ends = await shake(clientSettings(), serverSettings());
  const near = connection(ends.client).socket;
  const far = connection(ends.server).socket;
  far.once("data", (chunk) => far.write(`heard ${String(chunk)}`));
  near.write("hello");
  const [answer] = await once(near, "data");
  expect(String(answer)).toBe("heard hello");
});

// What a client refuses.

test("a client names the expected and the actual id of the wrong server", async () => {
  const ends = await shake(
    clientSettings({ verify: exactly("spiffe://cluster.local/ns/shop/sa/other") }),
    serverSettings(),
  );
  expect(refusal(ends.client)).toEqual({
    kind: "wrong-identity",
    message: `127.0.0.1 is not who was called: it is ${serverId}, expected spiffe://cluster.local/ns/shop/sa/other`,
  });
});

test("a client that allows nobody connects to nobody", async () => {
  const ends = await shake(clientSettings({ verify: exactly() }), serverSettings());
  expect(refusal(ends.client).message).toContain("nobody is allowed");
});

test("a client refuses a server of another trust domain", async () => {
  const ends = await shake(
    clientSettings({ verify: spiffe({ kind: "trust-domains", trustDomains: ["cluster.local"] }) }),
    await serverOf({ uris: ["spiffe://elsewhere/ns/shop/sa/server"] }),
  );
  expect(refusal(ends.client).message).toContain("expected an id of trust domain cluster.local");
});

test("a client refuses a certificate with two URI names, though one is right", async () => {
  const ends = await shake(clientSettings(), await serverOf({ uris: [serverId, "spiffe://cluster.local/ns/x/sa/y"] }));
  expect(refusal(ends.client).message).toContain("names 2 URIs where exactly one is allowed");
});

test("a client refuses a certificate without a SPIFFE id", async () => {
  const ends = await shake(clientSettings(), await serverOf({ dns: ["localhost"] }));
  expect(refusal(ends.client).message).toContain("names no SPIFFE id");
});

test("a client refuses an authority's certificate used as a workload's", async () => {
  const ends = await shake(clientSettings(), await serverOf({ uris: [serverId], isCa: true }));
  expect(refusal(ends.client).message).toContain("is a CA's");
});

test("a DNS name that looks like a URI name is not taken for one", async () => {
  const ends = await shake(clientSettings(), await serverOf({ dns: [`x, URI:${serverId}`] }));
  expect(refusal(ends.client).message).toContain("names no SPIFFE id");
});

test("a client refuses an expired certificate", async () => {
  const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
  const ends = await shake(clientSettings(), await serverOf({ uris: [serverId], ...past }));
  expect(refusal(ends.client)).toEqual({ kind: "expired", message: "the certificate of 127.0.0.1 has expired" });
});

test("a client refuses a certificate that has not begun", async () => {
  const ends = await shake(
    clientSettings(),
    await serverOf({ uris: [serverId], notBefore: new Date(Date.now() + 600_000) }),
  );
  expect(refusal(ends.client)).toMatchObject({
    kind: "expired",
    message: expect.stringContaining("check both clocks"),
  });
});

test("a client refuses a chain to another root, whatever id it names", async () => {
  const ends = await shake(clientSettings(), await serverOf({ uris: [serverId] }, stranger));
  expect(refusal(ends.client).kind).toBe("unknown-authority");
});

test("a client refuses a self-signed certificate", async () => {
  const alone = await selfSigned();
  const ends = await shake(clientSettings(), serverSettings({ identity: staticIdentity(alone) }));
  expect(refusal(ends.client).kind).toBe("unknown-authority");
});

test("a client says so when the server answers in plaintext", async () => {
  const address = await listen(createServer(), (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1").catch((error) => error);
  expect(refusal(outcome)).toEqual({
    kind: "plaintext-peer",
    message: "127.0.0.1 answered in plaintext where TLS was expected",
  });
});

test("a client says so when an HTTP/2 server answers in plaintext", async () => {
  const settingsFrame = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
  const address = await listen(createServer(), (socket) => socket.write(settingsFrame));
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1").catch((error) => error);
  expect(refusal(outcome).kind).toBe("plaintext-peer");
});

test("a client refuses a TLS server without HTTP/2", async () => {
  const address = await listen(createTlsServer({ key: server.privateKeyPem, cert: server.certificateChainPem }));
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1").catch((error) => error);
  expect(refusal(outcome).kind).toBe("no-h2");
});

test("a client refuses TLS 1.1", async () => {
  const old = { key: server.privateKeyPem, cert: server.certificateChainPem, maxVersion: "TLSv1.1" } as const;
  const address = await listen(createTlsServer({ ...old, minVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" }));
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1").catch((error) => error);
  expect(refusal(outcome).kind).toBe("refused-by-peer");
});

test("a client gives up on a server that says nothing", async () => {
  const address = await listen(createServer());
  const limits: HandshakeLimits = { timeoutMs: 30 };
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1", limits).catch((error) => error);
  expect(refusal(outcome).kind).toBe("timeout");
});

test("a client's handshake ends with its signal", async () => {
  const address = await listen(createServer());
  const limits: HandshakeLimits = { signal: AbortSignal.abort() };
  const socket = await dial(address);
  const outcome = await connectTls(socket, clientSettings(), "127.0.0.1", limits).catch((error) => error);
  expect(refusal(outcome).kind).toBe("closed");
  await once(socket, "close");
});

test("a client says so when the server hangs up", async () => {
  const address = await listen(createServer(), (socket) => socket.once("data", () => socket.end()));
  const outcome = await connectTls(await dial(address), clientSettings(), "127.0.0.1").catch((error) => error);
  expect(refusal(outcome).kind).toBe("closed");
});

test("a client whose own certificate isn't there yet says why", async () => {
  const identity: IdentitySource = {
    ...staticIdentity(client),
    current: () => undefined,
    status: () => ({ notAfter: undefined, lastError: "the authority is away", nextAttempt: undefined }),
  };
  const address = await listen(createServer());
  const outcome = await connectTls(await dial(address), clientSettings({ identity }), "127.0.0.1").catch((e) => e);
  expect(refusal(outcome)).toEqual({
    kind: "not-ready",
    message: "this process has no certificate yet: the authority is away",
  });
});

test("a hostname is checked where that is what was asked for", async () => {
  const good = await shake(clientSettings({ verify: { kind: "hostname" }, serverName: "localhost" }), serverSettings());
  expect(connection(good.client).peer?.spiffeId?.uri).toBe(serverId);
  const byAddress = await shake(clientSettings({ verify: { kind: "hostname" } }), serverSettings());
  connection(byAddress.client);
  const bad = await shake(
    clientSettings({ verify: { kind: "hostname" }, serverName: "bank.example" }),
    serverSettings(),
  );
  expect(refusal(bad.client).message).toContain("expected bank.example");
});

// What a server refuses.

test("a server refuses a client without a certificate", async () => {
  const { identity: _, ...nobody } = clientSettings();
  const ends = await shake(nobody, serverSettings());
  expect(refusal(ends.server)).toEqual({ kind: "no-certificate", message: "the client showed no certificate" });
});

test("a server that only asks lets a client without a certificate in as nobody", async () => {
  const { identity: _, ...nobody } = clientSettings();
  const ends = await shake(nobody, serverSettings({ require: false }));
  expect(connection(ends.server).peer).toBeUndefined();
});

test("a server that only asks still refuses a certificate of another root", async () => {
  const ends = await shake(await clientOf({ uris: [clientId] }, stranger), serverSettings({ require: false }));
  expect(refusal(ends.server).kind).toBe("unknown-authority");
});

test("a server refuses a client of another root", async () => {
  const ends = await shake(await clientOf({ uris: [clientId] }, stranger), serverSettings());
  expect(refusal(ends.server).kind).toBe("unknown-authority");
});

test("a server refuses a client of another trust domain, by name", async () => {
  const ends = await shake(await clientOf({ uris: ["spiffe://elsewhere/ns/shop/sa/client"] }), serverSettings());
  expect(refusal(ends.server)).toEqual({
    kind: "wrong-identity",
    message:
      "the client is not welcome: it is spiffe://elsewhere/ns/shop/sa/client, expected an id of trust domain cluster.local",
  });
});

test("a server refuses a client with an expired certificate", async () => {
  const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
  const ends = await shake(await clientOf({ uris: [clientId], ...past }), serverSettings());
  expect(refusal(ends.server).kind).toBe("expired");
});

test("a server refuses a client with two URI names", async () => {
  const ends = await shake(await clientOf({ uris: [clientId, clientId] }), serverSettings());
  expect(refusal(ends.server).message).toContain("exactly one is allowed");
});

test("a server says so when a client speaks plaintext", async () => {
  const accepted = Promise.withResolvers<Outcome>();
  const address = await listen(createServer(), (socket) => {
    acceptTls(socket, serverSettings(), "the client").then(accepted.resolve, accepted.resolve);
  });
  (await dial(address)).write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  expect(refusal(await accepted.promise)).toMatchObject({ kind: "plaintext-peer" });
});

test("a server gives up on a client that says nothing", async () => {
  const accepted = Promise.withResolvers<Outcome>();
  const address = await listen(createServer(), (socket) => {
    acceptTls(socket, serverSettings(), "the client", { timeoutMs: 30 }).then(accepted.resolve, accepted.resolve);
  });
  await dial(address);
  expect(refusal(await accepted.promise).kind).toBe("timeout");
});

// Swaps.

test("a swapped credential is shown from the next handshake on", async () => {
  let material = server;
  const settings = serverSettings({ identity: { ...staticIdentity(server), current: () => material } });
  connection((await shake(clientSettings(), settings)).client);
  material = await authority.issue({ uris: ["spiffe://cluster.local/ns/shop/sa/renamed"] });
  expect(refusal((await shake(clientSettings(), settings)).client).message).toContain("sa/renamed");
});

test.each(["TLSv1.2", "TLSv1.3"] as const)("no %s session is resumed, before or after a swap", async (version) => {
  let material = server;
  const settings = serverSettings({ identity: { ...staticIdentity(server), current: () => material } });
  const address = await listen(createServer(), (socket) => {
    acceptTls(socket, settings, "the client").then(
      (accepted) => connection(accepted).socket.write("ready"),
      () => undefined,
    );
  });
  const visit = async (session?: Buffer): Promise<{ reused: boolean; session: Buffer | undefined }> => {
    let latest: Buffer | undefined;
    const socket: TLSSocket = tlsConnect({
      port: address.port,
      host: "127.0.0.1",
      ca: authority.rootPem,
      key: client.privateKeyPem,
      cert: client.certificateChainPem,
      ALPNProtocols: ["h2"],
      maxVersion: version,
      ...(session === undefined ? {} : { session }),
    });
    open.push(socket);
    socket.on("session", (ticket: Buffer) => {
      latest = ticket;
    });
    await once(socket, "data");
    return { reused: socket.isSessionReused(), session: latest ?? socket.getSession() };
  };
  const first = await visit();
  expect((await visit(first.session)).reused).toBe(false);
  material = await authority.issue({ uris: [serverId], ips: ["127.0.0.1"] });
  expect((await visit(first.session)).reused).toBe(false);
});

async function selfSigned(): Promise<TlsMaterial> {
  const alone = await createTestAuthority("alone");
  const material = await alone.issue({ uris: [serverId] });
  // The leaf without its intermediate and root has no path to anything, as a self-signed one.
  return {
    ...material,
    certificateChainPem: material.certificateChainPem.split(/(?<=-----END CERTIFICATE-----\n)/)[0] ?? "",
  };
}
