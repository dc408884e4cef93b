import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { type Balancer, createBalancer } from "../balancing/balancer.ts";
import { insecure } from "../identity/credentials.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { closedPort } from "../subchannel/testing/closed-port.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { Channel } from "./channel.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { createClient } from "./client.ts";
import {
  type CallRoute,
  type CallRouter,
  type ChannelEnvironment,
  type ResolverListener,
  registerResolver,
} from "./resolver.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";

const request = Buffer.from("request");

function clientOf(
  target: string,
  options: ChannelOptions = {},
  pool = new SubchannelPool({ clock: new ManualClock() }),
) {
  const channel = new Channel(target, options, pool);
  return { channel, client: createClient(blobService, channel), pool };
}

/** A channel whose resolver says what the test makes it say. */
function scripted() {
  let listener!: ResolverListener;
  let environment!: ChannelEnvironment;
  registerResolver("scripted", () => (_target, given, environment_) => {
    listener = given;
    environment = environment_;
    return { resolveNow: () => undefined, close: () => undefined };
  });
  const clock = new ManualClock();
  const made = clientOf("scripted:///test", { maxQueuedCalls: 2 }, new SubchannelPool({ clock }));
  made.channel.connectivityState(true);
  /** Routes every call to 127.0.0.1:`port`. */
  const routerTo = (port: number, timeoutMs = 0): CallRouter => {
    const balancer = createBalancer(
      { kind: "round_robin" },
      { pool: made.pool, connectOptions: { credentials: insecure }, onPicker: environment.pickerChanged },
    );
    balancer.updateEndpoints([{ addresses: [{ kind: "tcp", host: "127.0.0.1", port }] }]);
    return { route: () => ({ balancer, timeoutMs }) };
  };
  return { ...made, clock, listener, routerTo, pickerChanged: () => environment.pickerChanged() };
}

/** A balancer that never gets anywhere. */
const connecting: Balancer = {
  picker: { kind: "queue" },
  state: "CONNECTING",
  updateEndpoints: () => undefined,
  onResolverError: () => undefined,
  exitIdle: () => undefined,
  close: () => undefined,
};

test("fails calls with the connection's error while nobody listens", async () => {
  const port = await closedPort();
  const { client, channel } = clientOf(`ipv4:127.0.0.1:${port}`);
  const error = await rejection(client.unary(request));
  expect([error.code, error.details]).toEqual(["UNAVAILABLE", `connect ECONNREFUSED 127.0.0.1:${port}`]);
  expect(channel.connectivityState()).toBe("TRANSIENT_FAILURE");
  await channel.close();
});

test("a call that waits for ready says at its deadline what it waited for", async () => {
  const port = await closedPort();
  const { client, channel } = clientOf(`ipv4:127.0.0.1:${port}`);
  const error = await rejection(client.unary(request, { waitForReady: true, timeoutMs: 50 }));
  expect([error.code, error.details]).toEqual([
    "DEADLINE_EXCEEDED",
    `the deadline passed after 50 ms, waiting for a connection: connect ECONNREFUSED 127.0.0.1:${port}`,
  ]);
  await channel.close();
});

test("a name that doesn't exist is UNAVAILABLE and named", async () => {
  const { client, channel } = clientOf("dns:///weft-test.invalid:1");
  const error = await rejection(client.unary(request));
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toContain('name resolution of "weft-test.invalid" failed');
  await channel.close();
});

test("a target that makes no sense fails its calls, not the process", async () => {
  const { client, channel } = clientOf("ipv4:localhost:1");
  const error = await rejection(client.unary(request));
  expect(error.details).toBe('target "ipv4:localhost:1": "localhost:1" is not an ipv4 address with a port');
  await channel.close();
});

test("calls wait for the first router, and for no longer than their deadline", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { client, channel, listener, routerTo } = scripted();
  const late = rejection(client.unary(request, { timeoutMs: 20 }));
  const patient = client.unary(request, { timeoutMs: 20_000 });
  expect((await late).details).toBe("the deadline passed after 20 ms, waiting for the resolver of scripted:///test");
  listener.onRouter(routerTo(server.port));
  expect((await patient).toString()).toBe("ok");
  await channel.close();
});

test("no more calls wait than the channel allows; those that ended make room", async () => {
  const { client, channel } = scripted();
  const abort = new AbortController();
  const first = rejection(client.unary(request, { signal: abort.signal }));
  const second = rejection(client.unary(request));
  expect((await rejection(client.unary(request))).code).toBe("RESOURCE_EXHAUSTED");
  abort.abort();
  await first;
  const third = rejection(client.unary(request));
  await channel.close();
  expect([(await second).code, (await third).code]).toEqual(["CANCELLED", "CANCELLED"]);
});

test("a resolver's error fails calls that don't wait for ready, until a router comes", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { client, channel, listener, routerTo } = scripted();
  const waiting = client.unary(request, { waitForReady: true });
  listener.onError(new RpcError("UNAVAILABLE", "no such listener"));
  expect((await rejection(client.unary(request))).details).toBe("no such listener");
  expect(channel.connectivityState()).toBe("TRANSIENT_FAILURE");
  listener.onRouter(routerTo(server.port));
  expect((await waiting).toString()).toBe("ok");
  listener.onError(new RpcError("UNAVAILABLE", "control plane gone"));
  expect((await client.unary(request)).toString()).toBe("ok");
  await channel.close();
});

test("a resolver's error that was withdrawn fails no more calls: they wait", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { client, channel, listener, routerTo } = scripted();
  listener.onError(new RpcError("UNAVAILABLE", "control plane gone"));
  await rejection(client.unary(request));
  listener.onError(undefined);
  expect(channel.connectivityState()).toBe("CONNECTING");
  const waiting = client.unary(request);
  listener.onRouter(routerTo(server.port));
  expect((await waiting).toString()).toBe("ok");
  await channel.close();
});

test("a call that waits keeps its route until a new router comes", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { client, channel, listener, routerTo, pickerChanged } = scripted();
  let drawn = 0;
  listener.onRouter({
    route() {
      drawn++;
      return { balancer: connecting, timeoutMs: 0 };
    },
  });
  const waiting = client.unary(request);
  for (let changes = 0; changes < 3; changes++) pickerChanged();
  expect(drawn).toBe(1);
  listener.onRouter(routerTo(server.port));
  expect((await waiting).toString()).toBe("ok");
  await channel.close();
});

test("a route may bring a retry policy", async () => {
  let attempts = 0;
  const failed = { ":status": 200, "content-type": "application/grpc", "grpc-status": "14" };
  await using server = await startHttp2Server((stream) => {
    if (++attempts === 1) stream.respond(failed, { endStream: true });
    else answer(stream, frame("ok"));
  });
  const { client, channel, clock, listener, routerTo } = scripted();
  const { balancer } = routerTo(server.port).route("", new Metadata()) as CallRoute;
  const retry = {
    maxAttempts: 2,
    initialBackoffMs: 25,
    maxBackoffMs: 25,
    backoffMultiplier: 1,
    retryableStatuses: new Set([14]),
  };
  listener.onRouter({ route: () => ({ balancer, timeoutMs: 0, retry }) });
  const reply = client.unary(request);
  await expect.poll(() => clock.pendingMs.some((ms) => ms >= 20 && ms <= 30)).toBe(true);
  clock.advance(30);
  expect((await reply).toString()).toBe("ok");
  await channel.close();
});

test("a router may refuse a call, and bound its time", async () => {
  await using server = await startHttp2Server(() => undefined);
  const { client, channel, listener, routerTo } = scripted();
  listener.onRouter({ route: () => new RpcError("UNAVAILABLE", "no route") });
  expect((await rejection(client.unary(request, { waitForReady: true }))).details).toBe("no route");
  listener.onRouter(routerTo(server.port, 40));
  expect((await rejection(client.unary(request, { timeoutMs: 60_000 }))).details).toMatch(/after 40 ms/);
  await channel.close();
});

test("state goes from IDLE over CONNECTING to READY", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { channel } = clientOf(`127.0.0.1:${server.port}`);
  expect(channel.connectivityState()).toBe("IDLE");
  expect(channel.connectivityState(true)).toBe("CONNECTING");
  expect(await channel.watchConnectivityState("CONNECTING")).toBe("READY");
  await channel.close();
});

test("closing a channel gives its connections back", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const { client, channel, pool } = clientOf(`127.0.0.1:${server.port}`);
  await client.unary(request);
  const [session] = server.sessions;
  const closed = new Promise<void>((resolve) => session?.once("close", resolve));
  await channel.close();
  await closed;
  expect(pool.size).toBe(0);
});

test("TLS where the peer speaks plaintext says so", async () => {
  await using server = await startHttp2Server(() => undefined);
  const { client, channel } = clientOf(`127.0.0.1:${server.port}`, {
    credentials: {
      kind: "tls",
      tls: { trust: "system", verify: { kind: "hostname" } },
    },
  });
  const error = await rejection(client.unary(request));
  expect(error.code).toBe("UNAVAILABLE");
  expect(error.details).toContain(`127.0.0.1:${server.port}`);
  expect(error.details).toContain("answered in plaintext where TLS was expected");
  await channel.close();
});

test("an open channel with nothing in flight keeps no process alive", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, frame("ok")));
  const script = `
    import { createClient } from ${JSON.stringify(new URL("./client.ts", import.meta.url).href)};
    const bytes = (message) => message;
    const method = { path: "/test.Blob/Unary", requestStream: false, responseStream: false,
      requestSerialize: bytes, requestDeserialize: bytes, responseSerialize: bytes, responseDeserialize: bytes };
    const client = createClient({ unary: method }, "127.0.0.1:${server.port}");
    console.log(String(await client.unary(Buffer.from("x"), { timeoutMs: 60000 })));
  `;
  const node = ["--conditions=@weft/source", "--input-type=module", "--eval", script];
  const { stdout } = await promisify(execFile)(process.execPath, node, { timeout: 20_000 });
  expect(stdout).toBe("ok\n");
});
