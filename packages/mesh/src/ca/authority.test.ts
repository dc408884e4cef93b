import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { certificateBounds } from "../authn/bounds-extension.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import { ManualClock } from "../store/testing/manual-clock.ts";
import { type Authority, type AuthorityOptions, openAuthority } from "./authority.ts";
import { AuthorityError } from "./authority-error.ts";
import { readSigningRequest, type SigningRequest } from "./signing-request.ts";

const dayMs = 86_400_000;
const noBounds = { labels: {}, anyLabel: false, addresses: [] };
const spiffeId = "spiffe://cluster.local/ns/shop/sa/cart";
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weft-ca-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const open = (changes: Partial<AuthorityOptions> = {}): Promise<Authority> =>
  openAuthority({
    directory: join(directory, "ca"),
    trustDomain: "cluster.local",
    clock: new ManualClock(Date.now()),
    onError: (error) => {
      throw error;
    },
    ...changes,
  });

/** What opening is refused with. */
async function refusal(changes: Partial<AuthorityOptions> = {}): Promise<Diagnostic> {
  const error = await open(changes).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof AuthorityError)) throw new Error(`not refused: ${error}`);
  return error.diagnostic;
}

const kept = (name: string): string => join(directory, "ca", name);
const intermediateOf = (authority: Authority) => authority.certificates()[1];

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
  const [leaf = "", intermediate = "", root = ""] = await authority.sign(await request(), spiffeId, noBounds, 0);
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const args = ["verify", "-x509_strict", "-CAfile", file("root.pem", root)];
  const out = execFileSync("openssl", [...args, "-untrusted", file("i.pem", intermediate), file("leaf.pem", leaf)]);
  expect(out.toString()).toContain("OK");
});

test("the identity comes from the proof, whatever the CSR asks for", async () => {
  const [leaf = ""] = await (await open()).sign(await request(), spiffeId, noBounds, 0);
  const certificate = new X509Certificate(leaf);
  expect(certificate.subjectAltName).toBe(`URI:${spiffeId}`);
  expect(certificate.ca).toBe(false);
  expect(certificate.subject ?? "").not.toContain("evil");
});

test("a certificate carries the bounds of the proof", async () => {
  const bounds = { labels: { app: "cart" }, anyLabel: true, addresses: ["10.0.0.0/8"] };
  const [leaf = ""] = await (await open()).sign(await request(), spiffeId, bounds, 0);
  expect(certificateBounds(new X509Certificate(leaf).raw)).toEqual(bounds);
});

test("a wished validity is kept within limits", async () => {
  const authority = await open();
  const days = async (wishMs: number): Promise<number> => {
    const [leaf = ""] = await authority.sign(await request(), spiffeId, noBounds, wishMs);
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
  chmodSync(kept("root-key.pem"), 0o644);
  expect(await refusal()).toMatchObject({ code: "WEFT0310", message: expect.stringContaining("mode 0644") });
  chmodSync(kept("root-key.pem"), 0o600);
  chmodSync(kept("intermediate-key.pem"), 0o640);
  expect(await refusal()).toMatchObject({ code: "WEFT0310", hint: expect.stringContaining("chmod 600") });
});

test.each([["root.pem"], ["root-key.pem"]])("an authority without its %s is refused, never replaced", async (name) => {
  await open();
  const others = readdirSync(join(directory, "ca")).filter((file) => file !== name);
  const before = others.map((file) => readFileSync(kept(file), "utf8"));
  rmSync(kept(name));
  expect(await refusal()).toMatchObject({ code: "WEFT0311", message: expect.stringContaining(`${name} is missing`) });
  expect(others.map((file) => readFileSync(kept(file), "utf8"))).toEqual(before);
});

test("a directory that holds something else than an authority is refused", async () => {
  mkdirSync(join(directory, "ca"));
  writeFileSync(kept("notes.txt"), "");
  expect(await refusal()).toMatchObject({ code: "WEFT0311" });
});

test("a root certificate that is another key's, or none, is refused", async () => {
  await open();
  const own = readFileSync(kept("root.pem"), "utf8");
  await open({ directory: join(directory, "other") });
  copyFileSync(join(directory, "other", "root.pem"), kept("root.pem"));
  expect(await refusal()).toMatchObject({ message: expect.stringContaining("don't belong together") });
  writeFileSync(kept("root.pem"), own.slice(0, 200), { mode: 0o600 });
  expect(await refusal()).toMatchObject({ code: "WEFT0311" });
});

test("an authority of another trust domain is refused, naming its own", async () => {
  await open();
  expect(await refusal({ trustDomain: "example.org" })).toMatchObject({
    code: "WEFT0312",
    hint: "start with --trust-domain cluster.local",
  });
});

test("an authority whose root has expired is refused", async () => {
  await open();
  expect(await refusal({ clock: new ManualClock(Date.now() + 4000 * dayMs) })).toMatchObject({ code: "WEFT0311" });
});

test("a crash before the authority was whole leaves nothing in the way", async () => {
  mkdirSync(join(directory, "ca.draft"));
  writeFileSync(join(directory, "ca.draft", "root-key.pem"), "half");
  mkdirSync(join(directory, "ca"));
  expect((await open()).isNew).toBe(true);
  expect((await open()).isNew).toBe(false);
  expect(readdirSync(directory)).toEqual(["ca"]);
});

test("a crash between an intermediate's two files costs nothing but that intermediate", async () => {
  const first = await open();
  await open({ directory: join(directory, "other") });
  copyFileSync(join(directory, "other", "intermediate-key.pem"), kept("intermediate-key.pem"));
  const second = await open();
  expect(second.rootPem).toBe(first.rootPem);
  const chain = await second.sign(await request(), spiffeId, noBounds, 0);
  const [leaf, intermediate, rootCertificate] = chain.map((pem) => new X509Certificate(pem));
  expect(leaf?.verify((intermediate as X509Certificate).publicKey)).toBe(true);
  expect(intermediate?.verify((rootCertificate as X509Certificate).publicKey)).toBe(true);
});

test("an intermediate of another root is replaced", async () => {
  await open();
  await open({ directory: join(directory, "other") });
  for (const name of ["intermediate.pem", "intermediate-key.pem"]) {
    copyFileSync(join(directory, "other", name), kept(name));
  }
  const [, intermediate = "", root = ""] = await (await open()).sign(await request(), spiffeId, noBounds, 0);
  expect(new X509Certificate(intermediate).verify(new X509Certificate(root).publicKey)).toBe(true);
});

test("the intermediate is renewed while the authority runs, and kept", async () => {
  const clock = new ManualClock(Date.now());
  const authority = await open({ clock });
  const before = intermediateOf(authority)?.notAfterMs ?? 0;
  clock.advance(242 * dayMs);
  expect(intermediateOf(authority)?.notAfterMs).toBe(before);
  clock.advance(2 * dayMs);
  await vi.waitFor(() => expect(intermediateOf(authority)?.notAfterMs).toBeGreaterThan(before + 200 * dayMs));
  expect(intermediateOf(await open({ clock }))).toEqual(intermediateOf(authority));
});

test("an intermediate that can't be renewed is told of and tried again", async () => {
  const clock = new ManualClock(Date.now());
  const errors: unknown[] = [];
  const authority = await open({ clock, onError: (error) => errors.push(error) });
  const before = intermediateOf(authority)?.notAfterMs ?? 0;
  rmSync(join(directory, "ca"), { recursive: true });
  clock.advance(244 * dayMs);
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  mkdirSync(join(directory, "ca"), { mode: 0o700 });
  clock.advance(dayMs);
  await vi.waitFor(() => expect(intermediateOf(authority)?.notAfterMs).toBeGreaterThan(before));
});

test("no certificate outlives the root, and near its end nothing is renewed in vain", async () => {
  const clock = new ManualClock(Date.now());
  const authority = await open({ clock });
  const [root] = authority.certificates();
  const nearTheEnd = new ManualClock((root?.notAfterMs ?? 0) - 3 * dayMs);
  const last = await open({ clock: nearTheEnd });
  expect(intermediateOf(last)?.notAfterMs).toBe(root?.notAfterMs);
  expect(nearTheEnd.waiting).toBe(0);
  const [leaf = ""] = await last.sign(await request(), spiffeId, noBounds, 7 * dayMs);
  expect(new X509Certificate(leaf).validToDate.getTime()).toBe(root?.notAfterMs);
});

test("the control plane's own chain has its SPIFFE id and hosts, and shows the root", async () => {
  const chain = await (await open()).signOwn(await request(), ["localhost", "127.0.0.1"]);
  const names = new X509Certificate(chain[0] ?? "").subjectAltName ?? "";
  expect(names).toContain("URI:spiffe://cluster.local/ns/weft-system/sa/control-plane");
  expect(names).toContain("DNS:localhost");
  expect(names).toContain("IP Address:127.0.0.1");
  expect(chain.at(-2)).toBe(chain.at(-1));
});
