import { createHash, X509Certificate } from "node:crypto";
import { type IstioCertificateRequest, IstioCertificateServiceDefinition } from "@weft/xds-api/istio/v1/auth/ca";
import { afterEach, beforeAll, expect, test } from "vitest";
import type { TlsServerSettings } from "../identity/credentials.ts";
import type { TlsMaterial } from "../identity/material.ts";
import { staticIdentity, staticRoots } from "../identity/static-source.ts";
import { createTestAuthority, type TestAuthority, type TestLeaf } from "../identity/testing/certificates.ts";
import { FakeClock } from "../identity/testing/fake-clock.ts";
import { RpcError } from "../rpc/error.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import { createServer } from "../server/server.ts";
import type { ControlPlane, ControlPlaneStatus } from "./control-plane.ts";
import { createControlPlane } from "./create-control-plane.ts";
import { parseJoinToken } from "./join-token.ts";
import type { JoiningOptions } from "./joining.ts";
import type { ControlPlaneSettings, JoinSettings } from "./settings.ts";

const planeId = "spiffe://cluster.local/ns/weft-system/sa/control-plane";
const workloadId = "spiffe://cluster.local/ns/shop/sa/cart";

let authority: TestAuthority;
let stranger: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
  stranger = await createTestAuthority("another root");
});

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Who asked for a certificate, and how. */
interface Asked {
  readonly authorization: string | undefined;
  readonly id: string | undefined;
}

interface TestPlane {
  readonly port: number;
  readonly asked: Asked[];
}

/** The certificate service alone, over real TLS. */
async function startPlane(
  options: { leaf?: TestLeaf; issuer?: TestAuthority; signs?: TestLeaf | RpcError } = {},
): Promise<TestPlane> {
  const issuer = options.issuer ?? authority;
  const own = await issuer.issue(options.leaf ?? { uris: [planeId] });
  const shown: TlsMaterial = { ...own, certificateChainPem: own.certificateChainPem + issuer.rootPem };
  const tls: TlsServerSettings = {
    identity: staticIdentity(shown),
    clients: {
      kind: "certificate",
      require: false,
      trust: staticRoots(issuer.rootPem),
      verify: { kind: "spiffe", allowed: { kind: "trust-domains", trustDomains: ["cluster.local"] } },
    },
  };
  const asked: Asked[] = [];
  const server = createServer({ credentials: { kind: "tls", tls } });
  server.add(IstioCertificateServiceDefinition, {
    async createCertificate(request: IstioCertificateRequest, context: ServerContext) {
      asked.push({ authorization: context.metadata.get("authorization"), id: context.peer.identity?.uri });
      const signs = options.signs ?? { uris: [workloadId] };
      if (signs instanceof RpcError) throw signs;
      return { certChain: await issuer.sign(request.csr, signs) };
    },
  });
  const { port } = await server.listen("127.0.0.1:0");
  ends.push(() => server.close(0));
  return { port, asked };
}

function tokenFor(issuer: TestAuthority) {
  const hash = createHash("sha256").update(new X509Certificate(issuer.rootPem).raw).digest("base64url");
  const token = parseJoinToken(`weft1.${"s".repeat(43)}.${hash}`);
  if (token === undefined) throw new Error("no token");
  return token;
}

function join(plane: TestPlane, changes: Partial<JoinSettings> = {}, options?: JoiningOptions): ControlPlane {
  const settings: ControlPlaneSettings = {
    bootstrap: undefined,
    join: {
      server: { host: "127.0.0.1", port: plane.port },
      token: tokenFor(authority),
      rootsPem: undefined,
      ...changes,
    },
    registrationSocket: undefined,
    labels: { app: "cart" },
    address: "10.0.0.7",
  };
  const controlPlane = createControlPlane(settings, options);
  ends.push(() => controlPlane.close());
  return controlPlane;
}

/** Why joining failed, the first time. */
async function problemOf(controlPlane: ControlPlane): Promise<string> {
  return (await firstStatus(controlPlane)).problem ?? "none";
}

function firstStatus(controlPlane: ControlPlane): Promise<ControlPlaneStatus> {
  return new Promise((resolve) => {
    controlPlane.watchStatus(() => resolve(controlPlane.status()));
  });
}

test("a process joins with its token alone and learns who it is", async () => {
  const plane = await startPlane();
  const node = await join(plane).node();
  expect(node.id).toMatch(/^sidecar~10\.0\.0\.7~[a-z0-9-]+\.shop~shop\.svc\.cluster\.local$/);
  expect(node).toMatchObject({
    userAgentName: "weft-node",
    metadata: { GENERATOR: "grpc", NAMESPACE: "shop", LABELS: { app: "cart" } },
  });
});

test("the environment's proxy is not for the way to the control plane", async () => {
  const plane = await startPlane();
  process.env["grpc_proxy"] = "http://127.0.0.1:1";
  try {
    await join(plane).node();
  } finally {
    delete process.env["grpc_proxy"];
  }
  expect(plane.asked).toHaveLength(1);
});

test("two processes of one machine have different node ids", async () => {
  const plane = await startPlane();
  expect((await join(plane).node()).id).not.toBe((await join(plane).node()).id);
});

test("the token goes with the first request only, renewals come with the certificate", async () => {
  const plane = await startPlane();
  const clock = new FakeClock();
  const controlPlane = join(plane, {}, { clock, random: () => 0.5 });
  await controlPlane.node();
  const renewed = new Promise<void>((resolve) => controlPlane.certificateProvider("default")?.watch(resolve));
  clock.advance(31 * 60_000);
  await renewed;
  expect(plane.asked).toEqual([
    { authorization: `Bearer ${tokenFor(authority).text}`, id: undefined },
    { authorization: undefined, id: workloadId },
  ]);
});

test("the certificate is the provider `default`, and there is no other", async () => {
  const controlPlane = join(await startPlane());
  await controlPlane.node();
  expect(controlPlane.certificateProvider("default")?.current()?.spiffeId).toBe(workloadId);
  expect(controlPlane.certificateProvider("other")).toBeUndefined();
});

test("a given root is trusted instead of the token's hash", async () => {
  const plane = await startPlane();
  const controlPlane = join(plane, { token: tokenFor(stranger), rootsPem: authority.rootPem });
  await expect(controlPlane.node()).resolves.toBeDefined();
});

test("a token made for another root never leaves the process", async () => {
  const plane = await startPlane();
  const problem = await problemOf(join(plane, { token: tokenFor(stranger) }));
  expect(problem).toContain("does not show the root that the join token was made for");
  expect(plane.asked).toEqual([]);
});

test("a control plane of another root never sees the token", async () => {
  const plane = await startPlane({ issuer: stranger });
  const problem = await problemOf(join(plane, { rootsPem: authority.rootPem }));
  expect(problem).toContain("was not issued by a trusted root");
  expect(plane.asked).toEqual([]);
});

test("a workload of the same root is not taken for the control plane", async () => {
  const plane = await startPlane({ leaf: { uris: [workloadId], dns: ["localhost"], ips: ["127.0.0.1"] } });
  const problem = await problemOf(join(plane));
  expect(problem).toContain(`it is ${workloadId}, expected a control plane`);
  expect(plane.asked).toEqual([]);
});

test("an expired control plane is refused", async () => {
  const past = { notBefore: new Date(Date.now() - 7_200_000), notAfter: new Date(Date.now() - 3_600_000) };
  const problem = await problemOf(join(await startPlane({ leaf: { uris: [planeId], ...past } })));
  expect(problem).toContain("has expired");
});

test("a refused token is a problem with the control plane's reason", async () => {
  const refusal = new RpcError("UNAUTHENTICATED", "the join token expired");
  const problem = await problemOf(join(await startPlane({ signs: refusal })));
  expect(problem).toMatch(/^joining the mesh at 127\.0\.0\.1:\d+ failed: UNAUTHENTICATED: the join token expired$/);
});

test.each([
  ["a refused token", { signs: new RpcError("UNAUTHENTICATED", "the join token expired") }, {}, true],
  ["a used-up token", { signs: new RpcError("PERMISSION_DENIED", "no uses left") }, {}, true],
  ["a control plane that is busy", { signs: new RpcError("RESOURCE_EXHAUSTED", "too many") }, {}, false],
])("%s is told apart from what waiting mends", async (_, plane, settings, isRefused) => {
  expect(await firstStatus(join(await startPlane(plane), settings))).toMatchObject({ isRefused });
});

test("another control plane than the token's is a refusal", async () => {
  expect(await firstStatus(join(await startPlane(), { token: tokenFor(stranger) }))).toMatchObject({ isRefused: true });
});

test("a control plane that isn't there is a problem, not an end", async () => {
  const problem = await problemOf(join({ port: 1, asked: [] }));
  expect(problem).toContain("ECONNREFUSED");
});

test("waiting for the node ends with its signal and with the control plane", async () => {
  const controlPlane = join({ port: 1, asked: [] });
  await expect(controlPlane.node(AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  const waiting = controlPlane.node();
  waiting.catch(() => undefined);
  await controlPlane.close();
  await expect(waiting).rejects.toThrow("was closed");
});

test("with a bootstrap the node is known at once and nothing is registered", async () => {
  const bootstrap = {
    serverUri: "unix:/nowhere",
    credentials: { kind: "insecure" as const },
    node: { ...(await join(await startPlane()).node()), id: "from-the-bootstrap" },
    certificateProviders: new Map(),
    serverListenerTemplate: undefined,
  };
  const settings = { bootstrap, join: undefined, registrationSocket: undefined, labels: {}, address: "" };
  const controlPlane = createControlPlane(settings);
  ends.push(() => controlPlane.close());
  expect((await controlPlane.node()).id).toBe("from-the-bootstrap");
  expect(controlPlane.registration).toBeUndefined();
});
