import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { type ConnectProxy, startConnectProxy } from "../channel/testing/connect-proxy.ts";
import { inEnvironment } from "../channel/testing/environment.ts";
import * as weft from "../grpc-js.ts";
import { createTestAuthority } from "../identity/testing/certificates.ts";
import { throughHttpConnect } from "./http-connect.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";
import { startGrpcJsServer } from "./testing/grpc-js-server.ts";

const request = Buffer.from("hello");
const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

/** A server that answers with the host it was called by, and a proxy that knows it as a.example:443. */
async function startPair(credentials?: grpc.ServerCredentials) {
  const host: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => callback(null, Buffer.from(call.getHost()));
  const server = await startGrpcJsServer(new grpc.Server(), { unary: host }, credentials);
  const proxy = await startConnectProxy({ "a.example:443": server.port });
  return {
    server,
    proxy,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await proxy[Symbol.asyncDispose]();
    },
  };
}

/** What the proxy was asked for, and by whom. */
function asked({ requests }: ConnectProxy) {
  return requests.map(({ peer, headers }) => [peer, headers["proxy-authorization"]]);
}

// The same for grpc-js's own client and for ours: that is what the options and variables mean.
describe.each([
  ["grpc-js", grpc.Client],
  ["@weft/grpc/grpc-js", weft.Client],
])("a client of %s", (_name, Client) => {
  const insecure = grpc.credentials.createInsecure();

  function dial(target: string, options: grpc.ClientOptions, env = {}, credentials = insecure): BytesClient {
    return inEnvironment(env, () => new BytesClient(new Client(target, credentials, options)));
  }

  /** The host that the call to `client` was for. */
  async function hostOf(client: BytesClient): Promise<string> {
    const { messages, status } = await client.unary(request, { deadline: Date.now() + 10_000 });
    expect(status).toMatchObject({ code: grpc.status.OK });
    return String(messages[0]);
  }

  test("goes through the environment's proxy, as the user in its URL", async () => {
    await using it = await startPair();
    const env = { https_proxy: it.proxy.url.replace("//", "//ada:p%40ss@"), http_proxy: "http://127.0.0.1:1" };
    await using client = dial("a.example:443", { "grpc.http_connect_creds": "bob:b" }, env);
    expect(await hostOf(client)).toBe("a.example:443");
    expect(asked(it.proxy)).toEqual([["a.example:443", basic("ada:p@ss")]]);
  });

  test("goes through it as grpc.http_connect_creds where the URL has no user", async () => {
    await using it = await startPair();
    const options = { "grpc.http_connect_creds": "bob:b" };
    await using client = dial("dns:///a.example", options, { grpc_proxy: it.proxy.url });
    expect(await hostOf(client)).toBe("a.example");
    expect(asked(it.proxy)).toEqual([["a.example:443", basic("bob:b")]]);
  });

  test("goes straight with grpc.enable_http_proxy 0, and where no_proxy says so", async () => {
    await using it = await startPair();
    const env = { grpc_proxy: it.proxy.url };
    await using off = dial(it.server.address, { "grpc.enable_http_proxy": 0 }, env);
    await using excepted = dial(it.server.address, {}, { ...env, no_proxy: "10.0.0.0/8,127.0.0.0/8" });
    expect(await hostOf(off)).toBe(it.server.address);
    expect(await hostOf(excepted)).toBe(it.server.address);
    expect(asked(it.proxy)).toEqual([]);
  });

  test("takes its target for a proxy with grpc.http_connect_target", async () => {
    await using it = await startPair();
    const options = { "grpc.http_connect_target": "dns:a.example:443", "grpc.http_connect_creds": "ada:a" };
    await using client = dial(it.proxy.address, options);
    await using named = dial(it.proxy.address, { ...options, "grpc.default_authority": "b.example" });
    expect([await hostOf(client), await hostOf(named)]).toEqual([it.proxy.address, "b.example"]);
    expect(asked(it.proxy)[0]).toEqual(["a.example:443", basic("ada:a")]);
  });

  test("wants a certificate for the host behind the proxy", async () => {
    const authority = await createTestAuthority();
    const { privateKeyPem, certificateChainPem } = await authority.issue({ dns: ["a.example"] });
    const pair = { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
    await using it = await startPair(grpc.ServerCredentials.createSsl(null, [pair]));
    const ssl = grpc.credentials.createSsl(Buffer.from(authority.rootPem));
    await using byVariable = dial("a.example:443", {}, { grpc_proxy: it.proxy.url }, ssl);
    expect(await hostOf(byVariable)).toBe("a.example:443");
    await using byOption = dial(it.proxy.address, { "grpc.http_connect_target": "dns:///a.example" }, {}, ssl);
    expect(await hostOf(byOption)).toBe(it.proxy.address);
  });
});

test.each([
  ["10.0.0.1:3128", "a.example:443", "http://10.0.0.1:3128", "dns:a.example:443"],
  ["dns:///proxy.example", "dns:///a.example", "http://proxy.example:443", "dns:a.example:443"],
  ["ipv6:[::1]:3128", "ipv6:[2001:db8::1]:1", "http://[::1]:3128", "dns:[2001:db8::1]:1"],
])("the target %s for grpc.http_connect_target %s", (target, wanted, proxy, dialled) => {
  const found = throughHttpConnect(target, { "grpc.http_connect_target": wanted });
  expect(found).toMatchObject({ target: dialled, ours: { proxy }, grpcJs: { "grpc.http_connect_target": dialled } });
});

test.each([
  ["unix:/run/proxy.sock", "a.example:443", "the target of a channel"],
  ["xds:///proxy", "a.example:443", "the target of a channel"],
  ["ipv4:10.0.0.1:1,10.0.0.2:1", "a.example:443", "the target of a channel"],
  ["proxy.example:3128", "unix:/run/a.sock", '"grpc.http_connect_target" is no host:port'],
  ["proxy.example:3128", "a.example:port", '"grpc.http_connect_target" is no host:port: "a.example:port"'],
])("the target %s for grpc.http_connect_target %s is refused", (target, wanted, message) => {
  const dial = () =>
    new weft.Channel(target, grpc.credentials.createInsecure(), { "grpc.http_connect_target": wanted });
  expect(dial).toThrow(TypeError);
  expect(dial).toThrow(message);
});
