import { once } from "node:events";
import { connect, type IncomingHttpHeaders } from "node:http2";
import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { startHttp2Server } from "../channel/testing/http2-server.ts";
import * as weft from "../grpc-js.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { messagePrefix } from "../rpc/message-framing.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import { createServer } from "../server/server.ts";
import { channelOptions } from "./channel-options.ts";
import { serverOptions } from "./server-options.ts";
import { bytesService } from "./testing/bytes-service.ts";
import { BytesClient, outcomeOf } from "./testing/grpc-js-client.ts";
import { startGrpcJsServer } from "./testing/grpc-js-server.ts";

const { status } = grpc;
const gzip = { "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip };
/** gRPC's WriteFlags.NoCompress. */
const noCompress = 2;
const large = Buffer.alloc(300_000, "abcdefg");

function weftClient(address: string, options: grpc.ClientOptions = {}): BytesClient {
  return new BytesClient(new weft.Client(address, grpc.credentials.createInsecure(), options));
}

/** A server that answers with whether each request came compressed. */
async function flagServer() {
  const flag = (context: ServerContext) => Buffer.from(context.isRequestCompressed ? "compressed" : "plain");
  const server = createServer();
  server.add(bytesService, {
    unary: async (_request, context) => flag(context),
    async collect() {
      return Buffer.of();
    },
    async *expand() {
      // Not called here.
    },
    async *chat(requests, context) {
      for await (const _ of requests) yield flag(context);
    },
  });
  const { address } = await server.listen("127.0.0.1:0");
  return { address, [Symbol.asyncDispose]: () => server.close(0) };
}

test("channel options of grpc-js mean what they say", () => {
  expect(
    channelOptions({
      ...gzip,
      "grpc.max_send_message_length": -1,
      "grpc.max_receive_message_length": 10,
      "grpc.service_config": "{}",
      "grpc.enable_retries": 0,
      "grpc.per_rpc_retry_buffer_size": 1,
      "grpc.retry_buffer_size": 2,
      "grpc.client_idle_timeout_ms": 3000,
      "grpc.keepalive_time_ms": 20_000,
      "grpc.keepalive_timeout_ms": 5000,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.primary_user_agent": "app/1",
      "grpc.default_authority": "other",
      "weft.busy_poll": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.http_connect_creds": "ada:secret",
      "grpc-node.retry_max_attempts_limit": 3,
      "grpc-node.flow_control_window": 100_000,
      "grpc.dns_min_time_between_resolutions_ms": 4000,
      "grpc.service_config_disable_resolution": 1,
      "grpc.enable_channelz": 0,
    }),
  ).toEqual({
    compression: "gzip",
    maxSendMessageBytes: 2 ** 32 - 1,
    maxReceiveMessageBytes: 10,
    serviceConfig: "{}",
    retries: false,
    callRetryBufferBytes: 1,
    retryBufferBytes: 2,
    idleTimeoutMs: 3000,
    keepalive: { timeMs: 20_000, timeoutMs: 5000, withoutCalls: true },
    userAgent: "app/1",
    authority: "other",
    busyPoll: false,
    proxy: false,
    proxyCredentials: "ada:secret",
    maxAttempts: 3,
    windowBytes: 100_000,
    minLookupIntervalMs: 4000,
    isListed: false,
  });
});

test("server options of grpc-js mean what they say", () => {
  expect(
    serverOptions({
      ...gzip,
      "grpc.max_send_message_length": 9,
      "grpc.max_concurrent_streams": 8,
      "grpc.max_connection_age_ms": 7,
      "grpc.max_connection_age_grace_ms": 6,
      "grpc.max_connection_idle_ms": 5,
      "grpc.keepalive_time_ms": 4,
      "grpc.keepalive_timeout_ms": 3,
      "grpc.keepalive_permit_without_calls": 0,
      "grpc.http2.min_recv_ping_interval_without_data_ms": 2,
      "grpc-node.flow_control_window": 1_000_000,
      "weft.port_name": "grpc-echo",
      "weft.busy_poll": 0,
    }),
  ).toEqual({
    compression: "gzip",
    maxSendMessageBytes: 9,
    limits: {
      maxConcurrentStreams: 8,
      initialStreamWindowBytes: 1_000_000,
      initialConnectionWindowBytes: 1_000_000,
    },
    maxAgeMs: 7,
    maxAgeGraceMs: 6,
    maxIdleMs: 5,
    keepaliveTimeMs: 4,
    keepaliveTimeoutMs: 3,
    pingsWithoutCalls: false,
    minPingIntervalMs: 2,
    portName: "grpc-echo",
    busyPoll: false,
  });
});

test("what grpc-js means by unlimited is unlimited", () => {
  const forever = 2 ** 31 - 1;
  const options = serverOptions({ "grpc.max_connection_age_ms": forever, "grpc.max_connection_idle_ms": -1 });
  expect([options.maxAgeMs, options.maxIdleMs]).toEqual([undefined, undefined]);
  expect(options.keepaliveTimeMs).toBe(Number.POSITIVE_INFINITY);
});

test.each([[() => channelOptions({ "grpc.default_compression_algorithm": 7 as never }), "one of 0, 1 and 2"]])(
  "an option that can't be honoured is refused by name (%#)",
  (read, message) => {
    expect(read).toThrow(message);
  },
);

test("a stub's requests are compressed by its channel's option, but for those with NoCompress", async () => {
  await using server = await flagServer();
  await using client = weftClient(server.address, gzip);
  expect(String((await client.unary(large)).messages[0])).toBe("compressed");
  const call = client.chat();
  const outcome = outcomeOf(call);
  call.write(large);
  call.write(large, noCompress as never);
  call.write(Buffer.from("small"));
  call.end();
  expect((await outcome).messages.map(String)).toEqual(["compressed", "plain", "compressed"]);
});

test("a unary request with NoCompress goes out as it is", async () => {
  await using server = await flagServer();
  await using client = weftClient(server.address, gzip);
  const answer = await new Promise((resolve) => {
    const call = client.client.makeClientStreamRequest(
      bytesService.unary.path,
      (bytes: Buffer) => bytes,
      (bytes: Buffer) => bytes,
      (_error, response) => resolve(String(response)),
    );
    call.write(large, noCompress as never);
    call.end();
  });
  expect(answer).toBe("plain");
});

test("a grpc-js server reads what our stubs compress", async () => {
  await using pair = await startGrpcJsServer(new grpc.Server());
  await using client = weftClient(pair.address, gzip);
  expect((await client.unary(large)).messages[0]?.equals(large)).toBe(true);
});

test.each([
  [0, 1],
  [noCompress, 0],
])("a handler's response with write flags %i has the compressed flag %i", async (flags, expected) => {
  await using pair = await startGrpcJsServer(new weft.Server(gzip), {
    unary: (_call, callback) => callback(null, large, undefined, flags),
  });
  const session = connect(`http://${pair.address}`);
  const stream = session.request({
    ":method": "POST",
    ":path": bytesService.unary.path,
    "content-type": "application/grpc",
    "grpc-accept-encoding": "gzip",
  });
  stream.end(Buffer.from(messagePrefix(0)));
  const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
  const [body] = (await once(stream, "data")) as [Buffer];
  session.destroy();
  expect([headers["grpc-encoding"], body[0]]).toEqual(["gzip", expected]);
});

test("a grpc-js client reads what our server compresses", async () => {
  await using pair = await startGrpcJsServer(new weft.Server(gzip));
  await using client = BytesClient.plaintext(pair.address);
  expect((await client.unary(large)).messages[0]?.equals(large)).toBe(true);
});

test("a service config gives methods their deadlines", async () => {
  await using pair = await startGrpcJsServer(new grpc.Server(), {
    unary: () => {
      // Never answers.
    },
  });
  const config = { methodConfig: [{ name: [{ service: "test.Bytes" }], timeout: "0.02s" }] };
  await using client = weftClient(pair.address, { "grpc.service_config": JSON.stringify(config) });
  expect((await client.unary(Buffer.of())).status.code).toBe(status.DEADLINE_EXCEEDED);
});

test("a request above the send limit isn't sent", async () => {
  await using pair = await startGrpcJsServer(new grpc.Server());
  await using client = weftClient(pair.address, { "grpc.max_send_message_length": 10 });
  expect((await client.unary(large)).status.code).toBe(status.RESOURCE_EXHAUSTED);
});

test("the flow control window is what the server is told, for streams and for the connection", async () => {
  const windows: unknown[] = [];
  await using server = await startHttp2Server((stream) => {
    const { remoteSettings, state } = stream.session!;
    windows.push(remoteSettings.initialWindowSize, state.remoteWindowSize);
    stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "0" }, { endStream: true });
  });
  await using client = weftClient(`127.0.0.1:${server.port}`, { "grpc-node.flow_control_window": 100_000 });
  await client.unary(Buffer.of());
  expect(windows).toEqual([100_000, 100_000]);
});

test("both sides know who is at the other end", async () => {
  const authority = await createTestAuthority();
  const [server, client] = [
    await authority.issue({ dns: ["localhost"] }),
    await authority.issue({ uris: ["spiffe://a/b"] }),
  ];
  const pem = (text: string) => Buffer.from(text);
  const pair = { private_key: pem(server.privateKeyPem), cert_chain: pem(server.certificateChainPem) };
  const credentials = weft.ServerCredentials.createSsl(pem(authority.rootPem), [pair], true);
  await using served = await startGrpcJsServer(
    new weft.Server(),
    {
      unary: (call, callback) =>
        callback(null, Buffer.from(String(call.getAuthContext().sslPeerCertificate?.subjectaltname))),
    },
    credentials,
  );
  const ssl = weft.credentials.createSsl(
    pem(authority.rootPem),
    pem(client.privateKeyPem),
    pem(client.certificateChainPem),
  );
  const stub = new weft.Client(`localhost:${served.port}`, ssl);
  const answer = await new Promise<unknown[]>((resolve) => {
    const same = (bytes: Buffer) => bytes;
    const call = stub.makeUnaryRequest(bytesService.unary.path, same, same, Buffer.of(), (error, response) =>
      resolve([error, String(response), call.getAuthContext()]),
    );
  });
  stub.close();
  expect(answer).toEqual([
    null,
    "URI:spiffe://a/b",
    {
      transportSecurityType: "ssl",
      sslPeerCertificate: expect.objectContaining({ subjectaltname: "DNS:localhost" }),
    },
  ]);
});

test.each([
  ["several key pairs", 2, "more than one private key"],
  ["no key pair", 0, "no private key"],
])("server credentials with %s fail to bind", async (_what, count, message) => {
  const { privateKeyPem, certificateChainPem } = await (await createTestAuthority()).issue({ dns: ["localhost"] });
  const pair = { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
  const credentials = weft.ServerCredentials.createSsl(null, Array(count).fill(pair));
  const error = await new Promise<Error | null>((resolve) => {
    new weft.Server().bindAsync("127.0.0.1:0", credentials, resolve);
  });
  expect(error?.message).toContain(message);
});
