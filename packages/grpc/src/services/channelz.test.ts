import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { ChannelzDefinition, ChannelConnectivityState_State as State } from "@weft/xds-api/grpc/channelz/v1/channelz";
import { expect, test } from "vitest";
import { Channel } from "../channel/channel.ts";
import type { ChannelOptions } from "../channel/channel-options.ts";
import { createClient } from "../channel/client.ts";
import { staticIdentity, staticRoots } from "../identity/static-source.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { RpcError } from "../rpc/error.ts";
import { createServer, type ServerOptions } from "../server/server.ts";
import { createChannelz } from "./channelz.ts";
import { ipBytes } from "./channelz-address.ts";

interface Setting {
  readonly address?: string;
  readonly server?: ServerOptions;
  readonly channel?: ChannelOptions;
}

/** A server that is looked at, a client of it, and a second server that tells of both. */
async function start({ address = "127.0.0.1:0", server: options, channel: channelOptions }: Setting = {}) {
  const server = createServer(options);
  server.add(EchoTestServiceDefinition, {
    echo({ message }) {
      if (message === "fail") throw new RpcError("ABORTED", "as asked");
      return { message };
    },
    forwardEcho: (_request, { signal }) =>
      new Promise((_resolve, reject) => (signal.onabort = () => reject(signal.reason))),
  });
  const bound = await server.listen(address);
  const observer = createServer();
  createChannelz().addTo(observer);
  const observed = await observer.listen("127.0.0.1:0");
  const channelz = createClient(ChannelzDefinition, observed.address);
  const channel = new Channel(bound.address, channelOptions);
  const echo = createClient(EchoTestServiceDefinition, channel);
  const all = { startServerId: 0n, maxResults: 0n };
  return {
    server,
    channel,
    channelz,
    echo,
    address: bound.address,
    async servers() {
      return (await channelz.getServers(all)).server;
    },
    /** The server that is looked at. */
    async serverEntity() {
      const { server: servers } = await channelz.getServers(all);
      return servers.find(({ ref }) => ref?.name === bound.address)!;
    },
    /** The client's channel. */
    async channelEntity() {
      const { channel: channels } = await channelz.getTopChannels({ startChannelId: 0n, maxResults: 0n });
      return channels.find(({ ref }) => ref?.name === channel.target);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([channel.close(), channelz[Symbol.asyncDispose]()]);
      await Promise.all([server.close(0), observer.close(0)]);
    },
  };
}

const localhost = Buffer.from([127, 0, 0, 1]);

test("a channel tells its target, its state, and its calls by how they ended", async () => {
  await using running = await start();
  const { echo, channel } = running;
  expect((await running.channelEntity())?.data?.state).toEqual({ state: State.IDLE });
  const before = Date.now();
  await echo.echo({ message: "a" });
  await echo.echo({ message: "b" });
  await echo.echo({ message: "fail" }).catch(() => undefined);
  const { data } = (await running.channelEntity())!;
  expect(data).toMatchObject({
    state: { state: State.READY },
    target: channel.target,
    callsStarted: 3n,
    callsSucceeded: 2n,
    callsFailed: 1n,
  });
  expect(data?.lastCallStartedTimestamp?.getTime()).toBeGreaterThanOrEqual(before);
});

test("a call that is open is started and has not ended", async () => {
  await using running = await start();
  const abort = new AbortController();
  const { promise: cancelled } = aborted(running.echo, abort.signal);
  const during = await untilStarted(running);
  expect(during).toMatchObject({ callsStarted: 1n, callsSucceeded: 0n, callsFailed: 0n });
  abort.abort();
  await cancelled;
  expect((await running.channelEntity())?.data).toMatchObject({ callsStarted: 1n, callsFailed: 1n });
});

test("a call that never had a connection counts for its channel", async () => {
  await using running = await start();
  await using nowhere = new Channel("ipv4:127.0.0.1:1");
  await createClient(EchoTestServiceDefinition, nowhere)
    .echo({ message: "" })
    .catch(() => undefined);
  const { channel } = await running.channelz.getTopChannels({ startChannelId: 0n, maxResults: 0n });
  const entity = channel.find(({ ref }) => ref?.name === nowhere.target);
  expect(entity?.data).toMatchObject({ state: { state: State.TRANSIENT_FAILURE }, callsStarted: 1n, callsFailed: 1n });
});

test("channels lead to their subchannels, and these to their sockets", async () => {
  await using running = await start();
  await running.echo.echo({ message: "a" });
  const [reference] = (await running.channelEntity())!.subchannelRef;
  const { subchannel } = await running.channelz.getSubchannel({ subchannelId: reference!.subchannelId });
  expect(subchannel).toMatchObject({
    ref: { name: running.address },
    data: { state: { state: State.READY }, callsStarted: 1n, callsSucceeded: 1n, callsFailed: 0n },
  });
  const { socket } = await running.channelz.getSocket({ socketId: subchannel!.socketRef[0]!.socketId });
  const port = Number(running.address.split(":")[1]);
  expect(socket).toMatchObject({
    remote: { address: { $case: "tcpipAddress", value: { ipAddress: localhost, port } } },
    data: { streamsStarted: 1n, streamsSucceeded: 1n, streamsFailed: 0n, messagesSent: 1n, messagesReceived: 1n },
    security: undefined,
  });
  expect(socket?.data?.lastLocalStreamCreatedTimestamp).toBeInstanceOf(Date);
  expect(socket?.data?.lastRemoteStreamCreatedTimestamp).toBeUndefined();
});

test("a server tells where it listens, and its calls by how they ended", async () => {
  await using running = await start();
  await running.echo.echo({ message: "a" });
  await running.echo.echo({ message: "fail" }).catch(() => undefined);
  const server = await running.serverEntity();
  expect(server.data).toMatchObject({ callsStarted: 2n, callsSucceeded: 1n, callsFailed: 1n });
  expect(server.data?.lastCallStartedTimestamp).toBeInstanceOf(Date);
  const { serverId } = server.ref!;
  expect((await running.channelz.getServer({ serverId })).server).toEqual(server);
  const { socket } = await running.channelz.getSocket({ socketId: server.listenSocket[0]!.socketId });
  const port = Number(running.address.split(":")[1]);
  expect(socket?.local).toEqual({ address: { $case: "tcpipAddress", value: { ipAddress: localhost, port } } });
  expect(socket?.remote).toBeUndefined();
});

test("a server keeps the counts of connections that are gone", async () => {
  await using running = await start();
  const other = createClient(EchoTestServiceDefinition, running.address);
  await other.echo({ message: "a" });
  await other[Symbol.asyncDispose]();
  await running.echo.echo({ message: "b" });
  expect((await running.serverEntity()).data).toMatchObject({ callsStarted: 2n, callsSucceeded: 2n });
});

test("a server's sockets tell their streams and messages", async () => {
  await using running = await start();
  await running.echo.echo({ message: "a" });
  const abort = new AbortController();
  const { promise: cancelled } = aborted(running.echo, abort.signal);
  await untilStarted(running, 2n);
  abort.abort();
  await cancelled;
  const serverId = (await running.serverEntity()).ref!.serverId;
  const { socketRef, end } = await running.channelz.getServerSockets({ serverId, startSocketId: 0n, maxResults: 0n });
  expect([socketRef.length, end]).toEqual([1, true]);
  // The cancellation was written before this question, on a connection of its own: ask until it came.
  for (;;) {
    const { socket } = await running.channelz.getSocket({ socketId: socketRef[0]!.socketId });
    const { streamsStarted, streamsSucceeded, streamsFailed, messagesSent, messagesReceived } = socket!.data!;
    if (streamsFailed === 0n) continue;
    expect([streamsStarted, streamsSucceeded, streamsFailed]).toEqual([2n, 1n, 1n]);
    expect([messagesSent, messagesReceived]).toEqual([1n, 2n]);
    expect(socket?.data?.lastRemoteStreamCreatedTimestamp).toBeInstanceOf(Date);
    break;
  }
});

test("TLS sockets show cipher and certificates of both ends", async () => {
  const authority = await createTestAuthority();
  const server = await authority.issue({ ips: ["127.0.0.1"] });
  const client = await authority.issue({ uris: ["spiffe://cluster.local/ns/echo/sa/client"] });
  const trust = staticRoots(authority.rootPem);
  await using running = await start({
    server: {
      credentials: {
        kind: "tls",
        tls: {
          identity: staticIdentity(server),
          clients: { kind: "certificate", require: true, trust, verify: { kind: "chain" } },
        },
      },
    },
    channel: {
      credentials: { kind: "tls", tls: { identity: staticIdentity(client), trust, verify: { kind: "hostname" } } },
    },
  });
  await running.echo.echo({ message: "a" });
  const [reference] = (await running.channelEntity())!.subchannelRef;
  const { subchannel } = await running.channelz.getSubchannel({ subchannelId: reference!.subchannelId });
  const { socket } = await running.channelz.getSocket({ socketId: subchannel!.socketRef[0]!.socketId });
  const serverId = (await running.serverEntity()).ref!.serverId;
  const { socketRef } = await running.channelz.getServerSockets({ serverId, startSocketId: 0n, maxResults: 0n });
  const accepted = (await running.channelz.getSocket({ socketId: socketRef[0]!.socketId })).socket;
  const ours = tlsOf(socket?.security);
  const theirs = tlsOf(accepted?.security);
  expect(ours.cipherSuite).toEqual(theirs.cipherSuite);
  expect(ours.cipherSuite?.value).toMatch(/^TLS_/);
  expect(ours.localCertificate.length).toBeGreaterThan(100);
  expect([ours.localCertificate, ours.remoteCertificate]).toEqual([theirs.remoteCertificate, theirs.localCertificate]);
});

test("unix sockets show their file", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-channelz-"));
  try {
    const path = join(folder, "s");
    await using running = await start({ address: `unix:${path}` });
    await running.echo.echo({ message: "a" });
    const uds = { address: { $case: "udsAddress", value: { filename: path } } };
    const listening = (await running.serverEntity()).listenSocket[0]!;
    expect((await running.channelz.getSocket({ socketId: listening.socketId })).socket?.local).toEqual(uds);
    const [reference] = (await running.channelEntity())!.subchannelRef;
    const { subchannel } = await running.channelz.getSubchannel({ subchannelId: reference!.subchannelId });
    const { socket } = await running.channelz.getSocket({ socketId: subchannel!.socketRef[0]!.socketId });
    expect(socket?.remote).toEqual(uds);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("pages hold as many as asked for, by ascending number, and the last one says so", async () => {
  await using running = await start();
  const extra = Array.from({ length: 5 }, (_, index) => new Channel(`ipv4:127.0.0.1:${index + 1}`));
  const targets: string[] = [];
  let startChannelId = 0n;
  for (;;) {
    const { channel, end } = await running.channelz.getTopChannels({ startChannelId, maxResults: 2n });
    expect(channel.length).toBeLessThanOrEqual(2);
    targets.push(...channel.map(({ ref }) => ref!.name));
    if (end) break;
    startChannelId = channel.at(-1)!.ref!.channelId + 1n;
  }
  expect(targets).toHaveLength(7);
  expect(targets.slice(-5)).toEqual(extra.map(({ target }) => target));
  for (const channel of extra) await channel.close();
});

test("numbers stay, and what is closed disappears", async () => {
  await using running = await start();
  const { channelId } = (await running.channelEntity())!.ref!;
  expect((await running.channelEntity())!.ref!.channelId).toBe(channelId);
  expect((await running.channelz.getChannel({ channelId })).channel?.ref?.channelId).toBe(channelId);
  await running.channel.close();
  expect(await running.channelEntity()).toBeUndefined();
  await expect(running.channelz.getChannel({ channelId })).rejects.toMatchObject({ code: "NOT_FOUND" });
  const { serverId } = (await running.serverEntity()).ref!;
  await running.server.close(0);
  const sockets = running.channelz.getServerSockets({ serverId, startSocketId: 0n, maxResults: 0n });
  await expect(sockets).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("a number that nothing has is NOT_FOUND, a negative page size INVALID_ARGUMENT", async () => {
  await using running = await start();
  const { channelz } = running;
  await expect(channelz.getSubchannel({ subchannelId: 0n })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(channelz.getSocket({ socketId: 12345n })).rejects.toMatchObject({ code: "NOT_FOUND" });
  const page = channelz.getTopChannels({ startChannelId: 0n, maxResults: -1n });
  await expect(page).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("addresses are their 4 or 16 bytes", () => {
  const hex = (host: string) => Buffer.from(ipBytes(host) ?? []).toString("hex");
  expect(hex("10.0.255.1")).toBe("0a00ff01");
  expect(hex("::1")).toBe("00000000000000000000000000000001");
  expect(hex("2001:db8::ff00:42")).toBe("20010db80000000000000000ff000042");
  expect(hex("::ffff:1.2.3.4")).toBe("00000000000000000000ffff01020304");
  expect(hex("fe80::1%eth0")).toBe("fe800000000000000000000000000001");
  expect(ipBytes("localhost")).toBeUndefined();
});

type Running = Awaited<ReturnType<typeof start>>;

/** A call that ends by `signal` only. */
function aborted(echo: Running["echo"], signal: AbortSignal): { readonly promise: Promise<unknown> } {
  const request = { url: "", count: 0, qps: 0, timeoutMicros: 0n, headers: [], message: "" };
  const call = echo.forwardEcho(request as unknown as Parameters<Running["echo"]["forwardEcho"]>[0], { signal });
  return { promise: call.catch(() => undefined) };
}

/** The channel's data once the server has its call number `count`. */
async function untilStarted(running: Running, count = 1n) {
  for (;;) {
    if (((await running.serverEntity()).data?.callsStarted ?? 0n) >= count)
      return (await running.channelEntity())!.data;
  }
}

function tlsOf(security: { readonly model: unknown } | undefined) {
  const model = security?.model as { readonly $case: string; readonly value: TlsValue } | undefined;
  expect(model?.$case).toBe("tls");
  return model!.value;
}

interface TlsValue {
  readonly cipherSuite: { readonly value: string } | undefined;
  readonly localCertificate: Uint8Array;
  readonly remoteCertificate: Uint8Array;
}
