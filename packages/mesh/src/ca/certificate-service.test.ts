import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateRequest, systemClock, tlsMaterial } from "@weft/grpc/platform";
import { message } from "@weft/xds-api";
import { IstioCertificateRequest } from "@weft/xds-api/istio/v1/auth/ca";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Identity } from "../authn/identity.ts";
import { type Authority, openAuthority } from "./authority.ts";
import { type CertificateServiceOptions, createCertificate } from "./certificate-service.ts";
import { SigningBudgets } from "./signing-budgets.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-ca-"));
let authority: Authority;
beforeAll(async () => {
  authority = await openAuthority({
    directory: join(directory, "ca"),
    trustDomain: "cluster.local",
    clock: systemClock,
    onError: () => undefined,
  });
});
afterAll(() => {
  authority.close();
  rmSync(directory, { recursive: true });
});

/** The service's options; by default nobody is refused. */
const service = (changes: Partial<CertificateServiceOptions> = {}): CertificateServiceOptions => ({
  authority,
  budgets: new SigningBudgets(),
  nowMs: () => 0,
  join: () => undefined,
  ...changes,
});

const caller = (changes: Partial<Identity> = {}): Identity => ({
  spiffeId: "spiffe://cluster.local/ns/shop/sa/cart",
  trustDomain: "cluster.local",
  namespace: "shop",
  serviceAccount: "cart",
  labels: {},
  anyLabel: false,
  addresses: [],
  proof: { kind: "token", tokenId: "t1" },
  ...changes,
});

const asking = (csr: string) => message(IstioCertificateRequest, { csr, validityDuration: 3600n });

test("the SDK's own request gets a chain that belongs to its key", async () => {
  const { csrPem, privateKeyPem } = await createCertificateRequest("spiffe://cluster.local/ns/else/sa/where");
  const { certChain } = await createCertificate(asking(csrPem), caller(), service());
  const material = tlsMaterial({
    privateKeyPem,
    certificateChainPem: certChain.slice(0, 2).join(""),
    rootsPem: certChain[2] ?? "",
  });
  expect(material.spiffeId).toBe("spiffe://cluster.local/ns/shop/sa/cart");
});

test("a join is noted under the key's hash before anything is signed", async () => {
  const { csrPem } = await createCertificateRequest();
  const joined: string[] = [];
  const { certChain } = await createCertificate(
    asking(csrPem),
    caller(),
    service({ join: (tokenId, publicKeyHash) => void joined.push(tokenId, publicKeyHash) }),
  );
  const key = new X509Certificate(certChain[0] ?? "").publicKey.export({ type: "spki", format: "der" });
  expect(joined).toEqual(["t1", createHash("sha256").update(key).digest("hex")]);
});

test("a join that is refused gets no certificate", async () => {
  const { csrPem } = await createCertificateRequest();
  const refused = createCertificate(asking(csrPem), caller(), service({ join: () => "no uses left" }));
  await expect(refused).rejects.toThrow("PERMISSION_DENIED: no uses left");
});

test("a renewal takes no use of a token", async () => {
  const { csrPem } = await createCertificateRequest();
  const renewing = caller({ proof: { kind: "certificate", serialNumber: "1" } });
  const renewed = createCertificate(asking(csrPem), renewing, service({ join: () => "not to be asked" }));
  await expect(renewed).resolves.toHaveProperty("certChain.length", 3);
});

test("the control plane's own identity is never handed out", async () => {
  const { csrPem } = await createCertificateRequest();
  const impostor = caller({ spiffeId: "spiffe://cluster.local/ns/weft-system/sa/control-plane" });
  const refused = createCertificate(asking(csrPem), impostor, service());
  await expect(refused).rejects.toThrow("PERMISSION_DENIED");
});

test("a request that cannot be read is the caller's mistake", async () => {
  const refused = createCertificate(asking("no CSR"), caller(), service());
  await expect(refused).rejects.toThrow("INVALID_ARGUMENT");
});

test("a join that can't be kept gets no certificate, and may be tried again", async () => {
  const { csrPem } = await createCertificateRequest();
  const full = () => {
    throw new Error("disk full");
  };
  const refused = createCertificate(asking(csrPem), caller(), service({ join: full }));
  await expect(refused).rejects.toThrow("UNAVAILABLE");
});

test("an identity that asks too often is refused for a while, and no other with it", async () => {
  const budgets = new SigningBudgets();
  const signs = (identity: Identity, nowMs: number) =>
    createCertificate(asking("no CSR"), identity, service({ budgets, nowMs: () => nowMs }));
  for (let count = 0; count < 1_000; count++) await expect(signs(caller(), 0)).rejects.toThrow("INVALID_ARGUMENT");
  await expect(signs(caller(), 0)).rejects.toThrow("RESOURCE_EXHAUSTED");
  await expect(signs(caller({ spiffeId: "spiffe://cluster.local/ns/shop/sa/pay" }), 0)).rejects.toThrow("CSR");
  await expect(signs(caller(), 1_000)).rejects.toThrow("CSR");
});
