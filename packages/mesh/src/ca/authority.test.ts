import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { certificateBounds } from "../authn/bounds-extension.ts";
import { type Authority, openAuthority } from "./authority.ts";
import { readSigningRequest, type SigningRequest } from "./signing-request.ts";

const spiffeId = "spiffe://cluster.local/ns/shop/sa/cart";
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weft-ca-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (): Promise<Authority> =>
  openAuthority({ directory: join(directory, "ca"), trustDomain: "cluster.local", nowMs: () => Date.now() });

/** A CSR by OpenSSL, asking for a name that is not its to ask for. */
function opensslCsr(keyType: readonly string[] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]): string {
  const key = join(directory, "leaf-key.pem");
  const san = "subjectAltName=URI:spiffe://cluster.local/ns/weft-system/sa/control-plane,DNS:evil.example";
  const args = ["req", "-new", ...keyType, "-nodes", "-keyout", key, "-subj", "/CN=evil", "-addext", san];
  return execFileSync("openssl", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

async function request(csr = opensslCsr()): Promise<SigningRequest> {
  const read = await readSigningRequest(csr);
  if ("problem" in read) throw new Error(read.problem);
  return read;
}

test("OpenSSL verifies the chain of a signed workload", async () => {
  const authority = await open();
  const [leaf = "", intermediate = "", root = ""] = await authority.sign(await request(), spiffeId, {}, 0);
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const args = ["verify", "-x509_strict", "-CAfile", file("root.pem", root)];
  const out = execFileSync("openssl", [...args, "-untrusted", file("i.pem", intermediate), file("leaf.pem", leaf)]);
  expect(out.toString()).toContain("OK");
});

test("the identity comes from the proof, whatever the CSR asks for", async () => {
  const [leaf = ""] = await (await open()).sign(await request(), spiffeId, {}, 0);
  const certificate = new X509Certificate(leaf);
  expect(certificate.subjectAltName).toBe(`URI:${spiffeId}`);
  expect(certificate.ca).toBe(false);
  expect(certificate.subject ?? "").not.toContain("evil");
});

test("a certificate carries the bounds of the proof", async () => {
  const bounds = { labels: { app: "cart" }, addresses: ["10.0.0.0/8"] };
  const [leaf = ""] = await (await open()).sign(await request(), spiffeId, bounds, 0);
  expect(certificateBounds(new X509Certificate(leaf).raw)).toEqual(bounds);
});

test("a wished validity is kept within limits", async () => {
  const authority = await open();
  const days = async (wishMs: number): Promise<number> => {
    const [leaf = ""] = await authority.sign(await request(), spiffeId, {}, wishMs);
    return (new X509Certificate(leaf).validToDate.getTime() - Date.now()) / 86_400_000;
  };
  expect(await days(0)).toBeCloseTo(1, 1);
  expect(await days(365 * 86_400_000)).toBeCloseTo(7, 1);
  expect(await days(60_000)).toBeLessThan(0.01);
});

test("weak keys, foreign signatures and nonsense are refused with a reason", async () => {
  expect(await readSigningRequest(opensslCsr(["-newkey", "rsa:1024"]))).toMatchObject({ problem: /1024 bits/ });
  expect(await readSigningRequest("no CSR")).toMatchObject({ problem: /cannot be read/ });
  expect(await readSigningRequest("x".repeat(100_000))).toMatchObject({ problem: /allowed/ });
  const lines = opensslCsr().split("\n");
  const broken = lines
    .map((line, index) => (index === 4 ? `${line.slice(0, 8)}AAAA${line.slice(12)}` : line))
    .join("\n");
  expect(await readSigningRequest(broken)).toHaveProperty("problem");
});

test("keys are kept 0600 in a 0700 directory, and the next start has the same root", async () => {
  const first = await open();
  const home = join(directory, "ca");
  expect(statSync(home).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(home)) expect(statSync(join(home, name)).mode & 0o777).toBe(0o600);
  expect((await open()).rootPem).toBe(first.rootPem);
});

test("a key that others could read is refused, not used", async () => {
  await open();
  chmodSync(join(directory, "ca", "root-key.pem"), 0o644);
  await expect(open()).rejects.toThrow(/mode 0644/);
});

test("the control plane's own chain has its SPIFFE id and hosts, and shows the root", async () => {
  const chain = await (await open()).signOwn(await request(), ["localhost", "127.0.0.1"]);
  const names = new X509Certificate(chain[0] ?? "").subjectAltName ?? "";
  expect(names).toContain("URI:spiffe://cluster.local/ns/weft-system/sa/control-plane");
  expect(names).toContain("DNS:localhost");
  expect(names).toContain("IP Address:127.0.0.1");
  expect(chain.at(-2)).toBe(chain.at(-1));
});
