import { existsSync, statSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { service } from "../sources/testing/workspace.ts";
import { connectAdmin } from "./client.ts";
import { credentialPath } from "./credential-file.ts";
import { AdminBench } from "./testing/admin-bench.ts";

const apply = JSON.stringify({ files: [{ file: "echo.yaml", text: service("echo") }] });
const routes: readonly (readonly [string, string])[] = [
  ["GET", "/api/v1/status"],
  ["GET", "/api/v1/resources"],
  ["GET", "/api/v1/resources/Service"],
  ["GET", "/api/v1/resources/Service/shop/echo"],
  ["GET", "/api/v1/interfaces"],
  ["GET", "/api/v1/diagnostics"],
  ["GET", "/api/v1/audit"],
  ["GET", "/api/v1/tokens"],
  ["POST", "/api/v1/tokens"],
  ["DELETE", "/api/v1/tokens/t1"],
  ["POST", "/api/v1/apply"],
  ["POST", "/api/v1/delete"],
  ["DELETE", "/api/v1/resources/Service/shop/echo"],
  ["GET", "/nothing"],
];

test("every route but /healthz refuses a request without a credential, on loopback too", async () => {
  await using bench = await AdminBench.start();
  for (const [method, path] of routes) {
    const answer = await bench.ask(method, path, { headers: { authorization: undefined } });
    expect([path, answer.status]).toEqual([path, 401]);
    expect(JSON.parse(answer.body)).toMatchObject({ diagnostics: [{ code: "WEFT0501", severity: "error" }] });
  }
});

test.each([
  ["another token", "Bearer 0000000000000000000000000000000000000000000"],
  ["an empty token", "Bearer "],
  ["another scheme", "Basic YWRtaW46YWRtaW4="],
  ["a very long token", `Bearer ${"x".repeat(2_000)}`],
])("refuses %s", async (_, authorization) => {
  await using bench = await AdminBench.start();
  expect((await bench.ask("GET", "/api/v1/status", { headers: { authorization } })).status).toBe(401);
});

test("the health check needs no credential and tells nothing", async () => {
  await using bench = await AdminBench.start();
  const answer = await bench.ask("GET", "/healthz", { headers: { authorization: undefined } });
  expect([answer.status, answer.body]).toEqual([200, "ok\n"]);
});

test.each(["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example"])(
  "refuses the Host %s, health check included",
  async (host) => {
    await using bench = await AdminBench.start();
    for (const path of ["/api/v1/status", "/healthz"]) {
      const answer = await bench.ask("GET", path, { headers: { host } });
      expect(answer.status).toBe(403);
      expect(JSON.parse(answer.body)).toMatchObject({ diagnostics: [{ code: "WEFT0502" }] });
    }
  },
);

test("takes localhost as a name of its own", async () => {
  await using bench = await AdminBench.start();
  const answer = await bench.ask("GET", "/api/v1/status", { headers: { host: `localhost:${bench.server.port}` } });
  expect(answer.status).toBe(200);
});

test.each(["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])(
  "refuses the Origin %s",
  async (origin) => {
    await using bench = await AdminBench.start();
    const answer = await bench.ask("POST", "/api/v1/apply", { headers: { origin }, body: apply });
    expect(answer.status).toBe(403);
    expect(bench.backend.sources.list()).toEqual([]);
  },
);

test("refuses a page of another site that sends no Origin", async () => {
  await using bench = await AdminBench.start();
  const answer = await bench.ask("GET", "/api/v1/status", { headers: { "sec-fetch-site": "cross-site" } });
  expect(answer.status).toBe(403);
});

test("a change without the header that no form can send is refused", async () => {
  await using bench = await AdminBench.start();
  for (const [method, path] of routes.filter(([method]) => method !== "GET")) {
    const answer = await bench.ask(method, path, { headers: { "x-weft-request": undefined }, body: apply });
    expect([path, answer.status]).toEqual([path, 403]);
    expect(JSON.parse(answer.body)).toMatchObject({ diagnostics: [{ code: "WEFT0503" }] });
  }
});

test.each([
  ["with its length announced", {}],
  ["in chunks", { "transfer-encoding": "chunked" }],
])("a body that is too large is refused, %s", async (_, headers) => {
  await using bench = await AdminBench.start();
  const body = JSON.stringify({ namespace: "x".repeat(70_000) });
  const answer = await bench.ask("POST", "/api/v1/tokens", { headers, body });
  expect(answer.status).toBe(413);
  expect(JSON.parse(answer.body)).toMatchObject({ diagnostics: [{ code: "WEFT0504" }] });
});

test.each([
  "{",
  "[]",
  '{"files":[]}',
  '{"files":[{"file":"a\\u001b[2J","text":""}]}',
  '{"files":[{"file":"a","text":""}],"x":1}',
])("a body that is not what the route takes is refused: %s", async (body) => {
  await using bench = await AdminBench.start();
  expect((await bench.ask("POST", "/api/v1/apply", { body })).status).toBe(400);
});

test("every answer forbids a browser to show, frame, guess or keep it", async () => {
  await using bench = await AdminBench.start();
  for (const authorization of [`Bearer ${bench.credential.token}`, "Bearer no"]) {
    const { headers } = await bench.ask("GET", "/api/v1/status", { headers: { authorization } });
    expect(headers).toMatchObject({
      "content-security-policy": expect.stringContaining("default-src 'none'"),
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
      "cache-control": "no-store",
    });
    expect(headers["access-control-allow-origin"]).toBeUndefined();
  }
});

test("what goes wrong inside is told to the log and not to the client", async () => {
  await using bench = await AdminBench.start();
  bench.backend.store.close();
  const answer = await bench.ask("GET", "/api/v1/audit");
  expect(answer.status).toBe(500);
  expect(answer.body).not.toContain("database");
  expect(bench.errors).toHaveLength(1);
});

test("the credential file is the user's alone, and goes when the API closes", async () => {
  await using bench = await AdminBench.start();
  const path = credentialPath(bench.data);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await bench.server.close();
  expect(existsSync(path)).toBe(false);
});

test("closing leaves the credential of a successor alone", async () => {
  await using bench = await AdminBench.start();
  const path = credentialPath(bench.data);
  writeFileSync(path, JSON.stringify({ ...bench.credential, token: "t".repeat(43) }), { mode: 0o600 });
  await bench.server.close();
  expect(existsSync(path)).toBe(true);
});

test("the client applies, reads, lists and deletes", async () => {
  await using bench = await AdminBench.start();
  const client = connectAdmin(bench.data);
  const echo = { kind: "Service", namespace: "shop", name: "echo" };
  expect(await client.apply({ files: [{ file: "echo.yaml", text: service("echo") }] })).toMatchObject({
    kind: "applied",
    outcomes: [{ ...echo, change: "created" }],
  });
  expect(await client.resource(echo)).toMatchObject({ ...echo, origin: { kind: "store" }, text: service("echo") });
  expect(await client.resources({ kind: "Service", namespace: "shop" })).toHaveLength(1);
  expect(await client.resources({ kind: "VirtualService" })).toEqual([]);
  expect(await client.status()).toMatchObject({ trustDomain: "cluster.local", pid: process.pid });
  expect(await client.delete([echo])).toMatchObject({ kind: "applied", outcomes: [{ change: "deleted" }] });
  expect((await client.audit()).map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    "delete allowed",
    "apply allowed",
  ]);
});

test("a refused apply is a result with every diagnostic", async () => {
  await using bench = await AdminBench.start();
  const text = service("echo").replace("kind: Service", "kind: Gadget");
  const result = await connectAdmin(bench.data).apply({ files: [{ file: "echo.yaml", text }] });
  expect(result).toMatchObject({ kind: "refused", diagnostics: [{ severity: "error", at: { file: "echo.yaml" } }] });
});

test("a resource that isn't there is an error with its code", async () => {
  await using bench = await AdminBench.start();
  const asked = connectAdmin(bench.data).resource({ kind: "Service", namespace: "shop", name: "a/../b" });
  await expect(asked).rejects.toMatchObject({ status: 404, diagnostics: [{ code: "WEFT0505" }] });
});

test("tokens are made, listed without their secret, and revoked", async () => {
  await using bench = await AdminBench.start();
  const client = connectAdmin(bench.data);
  const created = await client.createToken({
    namespace: "shop",
    serviceAccount: "echo",
    labels: { app: "echo" },
    uses: 2,
  });
  expect(created.token).toMatch(/^weft1\./);
  const [listed] = await client.tokens();
  expect(listed).toMatchObject({ id: created.id, usesLeft: 2 });
  expect(listed).not.toHaveProperty("token");
  await client.revokeToken(created.id);
  await expect(client.revokeToken(created.id)).rejects.toMatchObject({ status: 404 });
  expect((await client.audit()).map(({ action }) => action)).toEqual(["token.revoke", "token.create"]);
});

test("without a control plane the client says where it looked and what to do", async () => {
  await using bench = await AdminBench.start();
  const { data } = bench;
  await bench.server.close();
  expect(() => connectAdmin(data)).toThrow(
    expect.objectContaining({
      diagnostics: [
        expect.objectContaining({ code: "WEFT0509", hint: expect.stringContaining(`weft up --data ${data}`) }),
      ],
    }),
  );
});

test("a credential left by a killed control plane is called that, with the pid it was", async () => {
  await using bench = await AdminBench.start();
  const { credential, data } = bench;
  await bench.server.close();
  writeFileSync(credentialPath(data), JSON.stringify(credential), { mode: 0o600 });
  await expect(connectAdmin(data).status()).rejects.toMatchObject({
    diagnostics: [{ code: "WEFT0509", message: expect.stringContaining(`left by process ${credential.pid}`) }],
  });
});

test.each([
  ["readable by others", (path: string, good: object) => writeFileSync(path, JSON.stringify(good), { mode: 0o644 })],
  ["of another form", (path: string) => writeFileSync(path, "{}", { mode: 0o600 })],
  ["not JSON", (path: string) => writeFileSync(path, "junk", { mode: 0o600 })],
  [
    "for another machine",
    (path: string, good: object) =>
      writeFileSync(path, JSON.stringify({ ...good, url: "http://evil.example:80" }), { mode: 0o600 }),
  ],
])("a credential file that is %s is not used", async (_, write) => {
  await using bench = await AdminBench.start();
  const { credential, data } = bench;
  await bench.server.close();
  write(credentialPath(data), credential);
  expect(() => connectAdmin(data)).toThrow(
    expect.objectContaining({ diagnostics: [expect.objectContaining({ code: "WEFT0510" })] }),
  );
});

test("a port that is taken rejects with the socket's own error", async () => {
  await using bench = await AdminBench.start();
  const { startAdminServer } = await import("./server.ts");
  const second = startAdminServer({
    backend: bench.backend,
    port: bench.server.port,
    dataDirectory: bench.data,
    version: "0.0.0",
    onError: () => undefined,
  });
  await expect(second).rejects.toMatchObject({ code: "EADDRINUSE" });
});
