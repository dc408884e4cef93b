import { createHash, X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCertificateRequest, tlsMaterial } from "@weft/grpc/platform";
import { message } from "@weft/xds-api";
import { IstioCertificateRequest } from "@weft/xds-api/istio/v1/auth/ca";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Identity } from "../authn/identity.ts";
import { type Authority, openAuthority } from "./authority.ts";
import { createCertificate } from "./certificate-service.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-ca-"));
let authority: Authority;
beforeAll(async () => {
  authority = await openAuthority({
    directory: join(directory, "ca"),
    trustDomain: "cluster.local",
    nowMs: () => Date.now(),
  });
});
afterAll(() => rmSync(directory, { recursive: true }));

const caller = (changes: Partial<Identity> = {}): Identity => ({
  spiffeId: "spiffe://cluster.local/ns/shop/sa/cart",
  trustDomain: "cluster.local",
  namespace: "shop",
  serviceAccount: "cart",
  proof: { kind: "token", tokenId: "t1" },
  ...changes,
});

const asking = (csr: string) => message(IstioCertificateRequest, { csr, validityDuration: 3600n });
const anyone = () => undefined;

test("the SDK's own request gets a chain that belongs to its key", async () => {
  const { csrPem, privateKeyPem } = await createCertificateRequest("spiffe://cluster.local/ns/else/sa/where");
  const { certChain } = await createCertificate(asking(csrPem), caller(), { authority, join: anyone });
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
  const { certChain } = await createCertificate(asking(csrPem), caller(), {
    authority,
    join: (tokenId, publicKeyHash) => {
      joined.push(tokenId, publicKeyHash);
      return undefined;
    },
  });
  const key = new X509Certificate(certChain[0] ?? "").publicKey.export({ type: "spki", format: "der" });
  expect(joined).toEqual(["t1", createHash("sha256").update(key).digest("hex")]);
});

test("a join that is refused gets no certificate", async () => {
  const { csrPem } = await createCertificateRequest();
  const refused = createCertificate(asking(csrPem), caller(), { authority, join: () => "no uses left" });
  await expect(refused).rejects.toThrow("PERMISSION_DENIED: no uses left");
});

test("a renewal takes no use of a token", async () => {
  const { csrPem } = await createCertificateRequest();
  const renewing = caller({ proof: { kind: "certificate", serialNumber: "1" } });
  const renewed = createCertificate(asking(csrPem), renewing, { authority, join: () => "not to be asked" });
  await expect(renewed).resolves.toHaveProperty("certChain.length", 3);
});

test("the control plane's own identity is never handed out", async () => {
  const { csrPem } = await createCertificateRequest();
  const impostor = caller({ spiffeId: "spiffe://cluster.local/ns/weft-system/sa/control-plane" });
  const refused = createCertificate(asking(csrPem), impostor, { authority, join: anyone });
  await expect(refused).rejects.toThrow("PERMISSION_DENIED");
});

test("a request that cannot be read is the caller's mistake", async () => {
  const refused = createCertificate(asking("no CSR"), caller(), { authority, join: anyone });
  await expect(refused).rejects.toThrow("INVALID_ARGUMENT");
});
