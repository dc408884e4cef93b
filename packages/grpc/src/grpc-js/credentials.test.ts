import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createSecureContext } from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { beforeAll, expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import { createTestAuthority, type TestAuthority } from "../identity/testing/certificates.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";
import { type BytesHandlers, startGrpcJsServer } from "./testing/grpc-js-server.ts";

let authority: TestAuthority;
let root: Buffer;
/** For the name `other.test`, which is not how the server is dialled. */
let pair: grpc.KeyCertPair;

beforeAll(async () => {
  authority = await createTestAuthority();
  root = Buffer.from(authority.rootPem);
  const { privateKeyPem, certificateChainPem } = await authority.issue({ dns: ["other.test"] });
  pair = { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
});

async function start(
  handlers: Partial<BytesHandlers> = {},
  credentials = weft.ServerCredentials.createSsl(null, [pair]),
) {
  return startGrpcJsServer(new weft.Server(), handlers, credentials);
}

/** How a call to `port` by the name `localhost` ends. */
async function statusOf(port: number, credentials: grpc.ChannelCredentials, options: grpc.ClientOptions = {}) {
  await using client = new BytesClient(new weft.Client(`localhost:${port}`, credentials, options));
  return (await client.unary(Buffer.of(), { deadline: Date.now() + 10_000 })).status;
}

const override = { "grpc.ssl_target_name_override": "other.test" };
const { OK, UNAVAILABLE } = grpc.status;

test("a certificate for another name is refused, unless the name is overridden", async () => {
  await using served = await start();
  const credentials = weft.credentials.createSsl(root);
  expect((await statusOf(served.port, credentials)).code).toBe(UNAVAILABLE);
  expect((await statusOf(served.port, credentials, override)).code).toBe(OK);
  expect((await statusOf(served.port, credentials, { "grpc.default_authority": "other.test" })).code).toBe(OK);
});

test("checkServerIdentity decides in the place of the name's check", async () => {
  await using served = await start();
  const seen: string[] = [];
  const checking = (verdict: Error | undefined) =>
    weft.credentials.createSsl(root, null, null, {
      checkServerIdentity(host, certificate) {
        seen.push(`${host} ${certificate.subjectaltname}`);
        return verdict;
      },
    });
  expect((await statusOf(served.port, checking(undefined))).code).toBe(OK);
  const refused = await statusOf(served.port, checking(new Error("not that one")));
  expect([refused.code, refused.details]).toEqual([UNAVAILABLE, expect.stringContaining("not that one")]);
  expect(new Set(seen)).toEqual(new Set(["localhost DNS:other.test"]));
});

test("rejectUnauthorized: false takes any certificate", async () => {
  await using served = await start();
  const credentials = weft.credentials.createSsl(null, null, null, { rejectUnauthorized: false });
  expect((await statusOf(served.port, credentials)).code).toBe(OK);
});

test("createFromSecureContext speaks as the context says", async () => {
  await using served = await start();
  const credentials = weft.credentials.createFromSecureContext(createSecureContext({ ca: root }));
  const strangers = weft.credentials.createFromSecureContext(createSecureContext());
  expect((await statusOf(served.port, credentials, override)).code).toBe(OK);
  expect((await statusOf(served.port, strangers, override)).code).toBe(UNAVAILABLE);
});

test("combined call credentials go with every call of the channel", async () => {
  await using served = await start({
    unary: (call, callback) =>
      callback({ code: grpc.status.ABORTED, details: `${call.metadata.get("x-a")} ${call.metadata.get("x-b")}` }),
  });
  const adding = (name: string) =>
    weft.credentials.createFromMetadataGenerator((_options, callback) => {
      const metadata = new weft.Metadata();
      metadata.set(name, "yes");
      callback(null, metadata);
    });
  const both = weft.credentials.combineCallCredentials(adding("x-a"), adding("x-b"));
  const credentials = weft.credentials.combineChannelCredentials(weft.credentials.createSsl(root), both);
  expect((await statusOf(served.port, credentials, override)).details).toBe("yes yes");
});

test("certificate providers of both sides are asked for their certificates", async () => {
  const folder = await mkdtemp(join(tmpdir(), "weft-"));
  const [certificateFile, privateKeyFile, caCertificateFile] = ["cert", "key", "ca"].map((name) => join(folder, name));
  await writeFile(certificateFile!, pair.cert_chain);
  await writeFile(privateKeyFile!, pair.private_key);
  await writeFile(caCertificateFile!, root);
  const provider = new weft.experimental.FileWatcherCertificateProvider({
    certificateFile,
    privateKeyFile,
    caCertificateFile,
    refreshIntervalMs: 10,
  } as never);
  const { createCertificateProviderServerCredentials, createCertificateProviderChannelCredentials } = weft.experimental;
  // grpc-js declares the first two the other way round.
  const create = createCertificateProviderServerCredentials as unknown as (
    identity: object,
    roots: object | null,
    require: boolean,
  ) => grpc.ServerCredentials;
  const client = createCertificateProviderChannelCredentials(provider, provider);
  try {
    for (const roots of [null, provider]) {
      await using served = await start({}, create(provider, roots, roots !== null));
      await expect.poll(async () => (await statusOf(served.port, client, override)).code).toBe(OK);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("a server offers the ciphers that its credentials name, as GRPC_SSL_CIPHER_SUITES does", async () => {
  class Restricted extends weft.ServerCredentials {
    constructor() {
      const { private_key: key, cert_chain: cert } = pair;
      super({ requestCert: false, ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }, { key: [key], cert: [cert] });
    }
    override _equals(other: grpc.ServerCredentials): boolean {
      return other === this;
    }
  }
  await using served = await start({}, new Restricted());
  const ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384";
  const socket = connect({
    port: served.port,
    ca: root,
    servername: "other.test",
    ALPNProtocols: ["h2"],
    maxVersion: "TLSv1.2",
    ciphers,
  });
  await new Promise<void>((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  expect(socket.getCipher().name).toBe("ECDHE-ECDSA-AES256-GCM-SHA384");
  socket.destroy();
});

test("interceptors of server credentials see the calls of their port", async () => {
  const seen: string[] = [];
  const credentials = weft.experimental.createServerCredentialsWithInterceptors(
    weft.ServerCredentials.createSsl(null, [pair]),
    [
      ({ path }, call) => {
        seen.push(path);
        return new weft.ServerInterceptingCall(call);
      },
    ],
  );
  await using served = await start({}, credentials);
  expect((await statusOf(served.port, weft.credentials.createSsl(root), override)).code).toBe(OK);
  expect(seen).toEqual(["/test.Bytes/Unary"]);
});
