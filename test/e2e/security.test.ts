// Who is trusted with what, by trying the opposite, against a control plane and workloads that are processes of their own.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect as http2Connect } from "node:http2";
import { connect, createServer as createNetServer, type Socket } from "node:net";
import { join } from "node:path";
import { Channel, createClient, createServer, Metadata, RpcError } from "@weft/grpc";
import { createCertificateRequest, staticIdentity, tlsMaterial } from "@weft/grpc/platform";
import { inboundListenerName, message, typeUrls } from "@weft/xds-api";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { AggregatedDiscoveryServiceDefinition } from "@weft/xds-api/envoy/service/discovery/v3/ads";
import { IstioCertificateRequest, IstioCertificateServiceDefinition } from "@weft/xds-api/istio/v1/auth/ca";
import { InterfaceRegistryDefinition } from "@weft/xds-api/weft/registry/v1/registry";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { connectAdmin } from "../../packages/mesh/src/admin/client.ts";
import {
  DemoMesh,
  documents,
  type EchoProcess,
  echoTarget,
  forwardEchoError,
} from "../../packages/mesh/src/demo/demo-mesh.ts";
import { Member } from "./member.ts";

let mesh: DemoMesh;
let echo: EchoProcess;
let xdsPort: number;

beforeAll(async () => {
  mesh = new DemoMesh();
  const { ready } = await mesh.startControlPlane("--xds-port", "auto");
  xdsPort = Number(ready["xdsPort"]);
  echo = await mesh.joinEcho("v1");
});
afterAll(async () => {
  await mesh.close();
});

/** Joins with a token of its own. */
async function member(serviceAccount: string, ...flags: string[]): Promise<Member> {
  return await Member.join(await environment(serviceAccount, ...flags));
}

async function environment(serviceAccount: string, ...flags: string[]): Promise<Record<string, string>> {
  const namespace = flags.includes("--namespace") ? [] : ["--namespace", "echo-grpc"];
  const made = await mesh.weftOk("token", "create", ...namespace, "--service-account", serviceAccount, ...flags);
  return { WEFT_CONTROL_PLANE: mesh.controlPlaneAddress, WEFT_TOKEN: made.trim() };
}

/** The status that a call fails with. */
async function failure(call: Promise<unknown>): Promise<RpcError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof RpcError) return error;
  throw new Error(`no RpcError: ${error}`);
}

/** The first thing that goes wrong on the way to a membership. */
function firstProblem({ controlPlane }: Member): Promise<string> {
  return new Promise((resolve) => {
    controlPlane.watchStatus(() => resolve(controlPlane.status().problem ?? "none"));
  });
}

async function* nothing(): AsyncGenerator<never> {
  // No request at all: whether a call is let in is known without one.
}

async function first(answers: AsyncIterable<unknown>): Promise<unknown> {
  for await (const answer of answers) return answer;
  return undefined;
}

describe("joining", () => {
  test("a token with another root's hash is sent to nobody, and is told apart from bad luck", async () => {
    const good = await environment("joiner");
    const [version, secret] = (good["WEFT_TOKEN"] ?? "").split(".");
    const token = [version, secret, Buffer.alloc(32, 1).toString("base64url")].join(".");
    await using impostor = new Member({ ...good, WEFT_TOKEN: token });
    expect(await firstProblem(impostor)).toContain("does not show the root that the join token was made for");
    expect(impostor.controlPlane.status().isRefused).toBe(true);
  });

  test("a workload that answers in the control plane's place, with its own good certificate, gets no token", async () => {
    await using mallory = await member("mallory");
    const own = mallory.controlPlane.certificateProvider("default")?.current();
    if (own === undefined) throw new Error("mallory has no certificate");
    const seen: unknown[] = [];
    // It shows the root as well, as the control plane does: whoever joins looks for it there.
    const shown = tlsMaterial({ ...own, certificateChainPem: `${own.certificateChainPem}\n${own.rootsPem}` });
    await using trap = createServer({
      credentials: { kind: "tls", tls: { identity: staticIdentity(shown), clients: { kind: "anonymous" } } },
    });
    trap.add(IstioCertificateServiceDefinition, {
      createCertificate: async (_, context) => {
        seen.push(context.metadata.get("authorization"));
        return { certChain: [] };
      },
    });
    const { port } = await trap.listen("127.0.0.1:0");
    await using victim = new Member({ ...(await environment("victim")), WEFT_CONTROL_PLANE: `127.0.0.1:${port}` });
    expect(await firstProblem(victim)).toMatch(/it is spiffe:.*\/sa\/mallory, expected a control plane/);
    expect(seen).toEqual([]);
  });

  test("the control plane's own identity and namespace can't be had", async () => {
    const refused = await mesh.weft(
      "token",
      "create",
      "--namespace",
      "weft-system",
      "--service-account",
      "control-plane",
    );
    expect(refused).toMatchObject({ code: 1 });
    expect(refused.stderr).toContain("WEFT0402");
  });

  test("the certificate is for the token's name, whatever the CSR asks for", async () => {
    await using joiner = await member("joiner");
    const { csrPem, privateKeyPem } = await createCertificateRequest(
      "spiffe://cluster.local/ns/weft-system/sa/control-plane",
    );
    const client = createClient(IstioCertificateServiceDefinition, joiner.controlPlane.channel);
    const { certChain } = await client.createCertificate(message(IstioCertificateRequest, { csr: csrPem }));
    const [leaf = "", intermediate = "", rootsPem = ""] = certChain;
    const material = tlsMaterial({ privateKeyPem, certificateChainPem: leaf + intermediate, rootsPem });
    expect(material.spiffeId).toBe("spiffe://cluster.local/ns/echo-grpc/sa/joiner");
  });
});

describe("the ports", () => {
  /** A channel to 15012 of somebody who has no certificate. */
  const stranger = () => {
    const trust = {
      roots: () => readFileSync(join(mesh.data, "ca", "root.pem"), "utf8"),
      watch: () => () => undefined,
    };
    const allowed = { kind: "trust-domains" as const, trustDomains: ["cluster.local"] };
    const tls = { trust, verify: { kind: "spiffe" as const, allowed } };
    return new Channel(`ipv4:${mesh.controlPlaneAddress}`, { credentials: { kind: "tls", tls } });
  };
  const calls: Readonly<Record<string, (channel: Channel, metadata: Metadata) => Promise<unknown>>> = {
    ADS: (channel, metadata) =>
      first(
        createClient(AggregatedDiscoveryServiceDefinition, channel).streamAggregatedResources(nothing(), { metadata }),
      ),
    registration: (channel, metadata) =>
      first(createClient(InterfaceRegistryDefinition, channel).session(nothing(), { metadata })),
    certificates: (channel, metadata) =>
      createClient(IstioCertificateServiceDefinition, channel).createCertificate(message(IstioCertificateRequest, {}), {
        metadata,
      }),
  };

  test.each(Object.keys(calls))("15012 gives a caller without proof no %s", async (what) => {
    const channel = stranger();
    expect((await failure(calls[what]?.(channel, new Metadata()) ?? nothing().next())).code).toBe("UNAUTHENTICATED");
    await channel.close();
  });

  test.each(["ADS", "registration"])("a token whose uses are counted opens no %s", async (what) => {
    const { WEFT_TOKEN: token } = await environment("counted", "--uses", "5");
    const channel = stranger();
    const error = await failure(
      calls[what]?.(channel, new Metadata({ authorization: `Bearer ${token}` })) ?? nothing().next(),
    );
    expect(error).toMatchObject({ code: "UNAUTHENTICATED", details: expect.stringContaining("uses are counted") });
    await channel.close();
  });

  test("15010 offers neither certificates nor registration", async () => {
    const target = `127.0.0.1:${xdsPort}`;
    await using ca = createClient(IstioCertificateServiceDefinition, target);
    await using registry = createClient(InterfaceRegistryDefinition, target);
    expect((await failure(ca.createCertificate(message(IstioCertificateRequest, {})))).code).toBe("UNIMPLEMENTED");
    expect((await failure(first(registry.session(nothing())))).code).toBe("UNIMPLEMENTED");
  });

  test("the admin API wants a credential, its own Host, and no page of another origin", async () => {
    const { url, token } = JSON.parse(readFileSync(join(mesh.data, "admin.json"), "utf8")) as {
      url: string;
      token: string;
    };
    const ask = async (headers: Record<string, string>): Promise<number> => {
      const { request } = await import("node:http");
      const asking = request(`${url}/api/v1/status`, { headers, agent: false }).end();
      const [response] = (await once(asking, "response")) as [{ statusCode: number; resume(): void }];
      response.resume();
      return response.statusCode;
    };
    const authorization = `Bearer ${token}`;
    expect(await ask({ authorization })).toBe(200);
    expect(await ask({})).toBe(401);
    expect(await ask({ authorization: `Bearer ${"x".repeat(43)}` })).toBe(401);
    expect(await ask({ authorization, host: "rebound.example" })).toBe(403);
    expect(await ask({ authorization, origin: "https://evil.example" })).toBe(403);
  });
});

describe("what a workload says of itself", () => {
  test.each([
    ["another namespace", { namespace: "elsewhere" }],
    ["another service account", { serviceAccount: "echo-v1" }],
    ["a label that its token doesn't give", { labels: { app: "echo" } }],
    ["another address", { address: "10.9.8.7" }],
  ])("a session that claims %s is refused", async (_, claim) => {
    await using mallory = await member("mallory");
    const error = await failure(mallory.register(claim, 9, [], "published"));
    expect(error.code).toBe("PERMISSION_DENIED");
    expect(error.details).toContain("WEFT0201");
  });

  test("a node that claims another namespace gets no configuration", async () => {
    await using mallory = await member("mallory");
    const node = { id: "mallory", metadata: { NAMESPACE: "elsewhere" } };
    expect((await failure(mallory.discover(typeUrls.listener, ["x"], node))).code).toBe("PERMISSION_DENIED");
  });

  test("another instance's address and port can't be taken over, and the attempt is on record", async () => {
    await using mallory = await member("mallory");
    const heard = await mallory.register({}, echo.xdsPort, [], "rejected");
    expect(heard).toContainEqual({ $case: "rejected", value: expect.objectContaining({ code: "WEFT0203" }) });
    const [entry] = await connectAdmin(mesh.data).audit();
    expect(entry).toMatchObject({
      principal: "spiffe://cluster.local/ns/echo-grpc/sa/mallory",
      action: "registration",
      outcome: "refused",
    });
    const status = await mesh.weftOk("status");
    expect(status).toMatch(new RegExp(`sa/echo-v1\\s+127\\.0\\.0\\.1:${echo.xdsPort}\\s+grpc\\s+SERVING`));
  });

  test("nobody gets another's server listener: not by its name, nor by its node id", async () => {
    await using mallory = await member("mallory");
    const status = await connectAdmin(mesh.data).status();
    const victim = status.workloads.find(({ serviceAccount }) => serviceAccount === "echo-v1");
    const name = inboundListenerName(`127.0.0.1:${echo.xdsPort}`);
    for (const id of ["mallory", victim?.nodeId ?? ""]) {
      expect((await mallory.discover(typeUrls.listener, [name], { id })).resources).toEqual([]);
    }
  });

  test.each([
    ["a reserved name", "istio.mesh.v1.Pilot", "WEFT0206"],
    ["a reserved name in another case", "Envoy.service.Thing", "WEFT0206"],
    ["no interface's name", "not an interface", "WEFT0205"],
    ["another namespace's interface", "proto.EchoTestService", "WEFT0208"],
    ["a host's name", "greeter.shop", "WEFT0207"],
  ])("%s can't be exported", async (_, name, code) => {
    const service =
      "apiVersion: v1\nkind: Service\nmetadata: {name: greeter, namespace: shop}\nspec: {ports: [{port: 1}]}\n";
    await mesh.processes.run(["apply", "-f", "-", "--data", mesh.data], { stdin: service });
    await using mallory = await member("mallory", "--namespace", "shop");
    const heard = await mallory.register({}, 9, [name], "published");
    expect(heard).toContainEqual({ $case: "rejected", value: expect.objectContaining({ code, subject: name }) });
    const exported = await connectAdmin(mesh.data).interfaces();
    expect(exported.find((one) => one.name === name)?.instances ?? []).not.toContain(
      expect.stringContaining("mallory"),
    );
  });
});

test.each([
  ["PeerAuthentication", "security.istio.io/v1", "mtls: {mode: PERMISSIVE}", /WEFT0040: .*PERMISSIVE.*\(.+\)/],
  [
    "DestinationRule",
    "networking.istio.io/v1",
    "{host: echo, trafficPolicy: {tls: {mode: SIMPLE}}}",
    /WEFT0040: .*SIMPLE/,
  ],
  ["AuthorizationPolicy", "security.istio.io/v1", "action: DENY", /WEFT0005: .*\(.+\)/],
  ["RequestAuthentication", "security.istio.io/v1", "{}", /WEFT0005: .*\(.+\)/],
  ["EnvoyFilter", "networking.istio.io/v1alpha3", "{}", /WEFT000[58]: /],
])("%s, which would not hold as it says, is refused with a hint", async (kind, apiVersion, spec, message) => {
  const text = `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x, namespace: echo-grpc}\nspec:\n  ${spec}\n`;
  const refused = await mesh.processes.run(["apply", "-f", "-", "--data", mesh.data], { stdin: text });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(message);
});

// Last, and in this order: they change what the whole mesh does.
describe("mTLS", () => {
  test("ISTIO_MUTUAL never steps down: a server that speaks plaintext sees a TLS hello and nothing else", async () => {
    const firstBytes: number[] = [];
    const plaintext = createNetServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (chunk: Buffer) => {
        firstBytes.push(chunk.readUInt8(0));
        // As an HTTP/2 server answers: with its SETTINGS.
        socket.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]));
      });
    }).listen(0, "127.0.0.1");
    await once(plaintext, "listening");
    const { port } = plaintext.address() as { port: number };
    await using weak = await member("weak", "--label", "app=echo");
    await weak.register({ nodeId: "weak" }, port, [], "published");
    await mesh.apply("3-echo-mtls-client.yaml");
    for (let attempt = 0; attempt < 4; attempt++) {
      const error = await forwardEchoError(echo, echoTarget);
      expect(error?.details).toMatch(/code = Unavailable .* answered in plaintext where TLS was expected/);
    }
    plaintext.close();
    expect(firstBytes.length).toBeGreaterThan(0);
    expect(new Set(firstBytes)).toEqual(new Set([0x16]));
  });

  test("after a switch to STRICT plaintext connections are drained, and new ones get nowhere", async () => {
    const authority = `http://127.0.0.1:${echo.xdsPort}`;
    const before = http2Connect(authority);
    before.on("error", () => undefined);
    await once(before, "remoteSettings");
    await using client = createClient(EchoTestServiceDefinition, `127.0.0.1:${echo.xdsPort}`);
    expect((await client.echo({ message: "in plaintext" })).message).toContain("Echo=in plaintext");
    const drained = once(before, "close");
    await mesh.weftOk("apply", "--wait", "-f", join(documents, "4-echo-mtls-server.yaml"));
    await drained;
    expect((await failure(client.echo({ message: "again" }, { timeoutMs: 5_000 }))).code).toBe("UNAVAILABLE");
    const late = connect(echo.xdsPort, "127.0.0.1");
    late.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    expect(await answerOf(late)).not.toContain(Buffer.from([0, 0, 0, 4, 1]).toString("latin1"));
  });

  test("STRICT refuses a client that has no certificate of the mesh", async () => {
    await using client = createClient(EchoTestServiceDefinition, `ipv4:127.0.0.1:${echo.xdsPort}`, {
      credentials: {
        kind: "tls",
        tls: {
          trust: { roots: () => readFileSync(join(mesh.data, "ca", "root.pem"), "utf8"), watch: () => () => undefined },
          verify: { kind: "spiffe", allowed: { kind: "trust-domains", trustDomains: ["cluster.local"] } },
        },
      },
    });
    expect((await failure(client.echo({ message: "let me in" }, { timeoutMs: 5_000 }))).code).toBe("UNAVAILABLE");
  });
});

/** Everything that a socket is sent until it is closed. */
async function answerOf(socket: Socket): Promise<string> {
  let text = "";
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
  });
  socket.on("error", () => undefined);
  await once(socket, "close");
  return text;
}
