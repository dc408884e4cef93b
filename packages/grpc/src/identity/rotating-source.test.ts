import { X509Certificate } from "node:crypto";
import { afterEach, beforeAll, expect, test } from "vitest";
import { createCertificateRequest } from "./csr.ts";
import { RotatingSource, type RotatingSourceOptions } from "./rotating-source.ts";
import { firstMaterial } from "./source-ready.ts";
import { createTestAuthority, type TestAuthority } from "./testing/certificates.ts";
import { FakeClock } from "./testing/fake-clock.ts";

const id = "spiffe://cluster.local/ns/shop/sa/cart";
const day = 86_400_000;

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority();
});

let source: RotatingSource | undefined;
afterEach(() => source?.close());

const signDaily =
  (clock: FakeClock, uri = id) =>
  (csrPem: string) =>
    authority.sign(csrPem, { uris: [uri], notAfter: new Date(Math.ceil(clock.now() / 1000) * 1000 + day) });

function open(clock: FakeClock, options: Partial<RotatingSourceOptions> = {}): RotatingSource {
  source = new RotatingSource({ sign: signDaily(clock), clock, random: () => 0.5, ...options });
  return source;
}

const swapped = (rotating: RotatingSource) => new Promise<void>((resolve) => rotating.watch(resolve));
const reported = (rotating: RotatingSource) => new Promise<void>((resolve) => rotating.watchStatus(resolve));

test("the first certificate is asked for at once", async () => {
  const material = await firstMaterial(open(new FakeClock()));
  expect(material.spiffeId).toBe(id);
  expect(material.rootsPem).toBe(authority.rootPem);
});

test("the chain that is shown ends before the root", async () => {
  const material = await firstMaterial(open(new FakeClock()));
  expect(material.certificateChainPem.match(/BEGIN/g)).toHaveLength(2);
});

test.each([
  [0, 0.45],
  [0.5, 0.5],
  [1, 0.55],
])("with chance %d the renewal is due at %d of the lifetime", async (chance, share) => {
  const clock = new FakeClock(Math.floor(Date.now() / 1000) * 1000);
  const rotating = open(clock, { random: () => chance });
  await firstMaterial(rotating);
  expect(rotating.status().nextAttempt?.getTime()).toBe(clock.now() + day * share);
});

test("a renewal brings another key and a later end", async () => {
  const clock = new FakeClock();
  const rotating = open(clock);
  const before = await firstMaterial(rotating);
  const renewed = swapped(rotating);
  clock.advance(day / 2 + 1000);
  await renewed;
  const after = rotating.current();
  expect(after?.privateKeyPem).not.toBe(before.privateKeyPem);
  expect(after?.notAfter.getTime()).toBeGreaterThan(before.notAfter.getTime());
});

test("failures are told, and retried ever less often", async () => {
  const clock = new FakeClock();
  const rotating = open(clock, { sign: () => Promise.reject(new Error("the authority is away")) });
  const delays: number[] = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    await reported(rotating);
    delays.push(clock.pendingMs()[0] ?? 0);
    clock.advance(delays.at(-1) ?? 0);
  }
  expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
  expect(rotating.status().lastError).toBe("the authority is away");
});

test("a repeated question has the same key", async () => {
  const clock = new FakeClock();
  const asked: string[] = [];
  const rotating = open(clock, {
    sign: (csr) => {
      asked.push(csr);
      return asked.length === 1 ? Promise.reject(new Error("the answer was lost")) : signDaily(clock)(csr);
    },
  });
  await reported(rotating);
  const answered = swapped(rotating);
  clock.advance(500);
  await answered;
  expect(asked[1]).toBe(asked[0]);
});

test("the current certificate stays while renewal fails", async () => {
  const clock = new FakeClock();
  let away = false;
  const good = signDaily(clock);
  const rotating = open(clock, { sign: (csr) => (away ? Promise.reject(new Error("away")) : good(csr)) });
  const before = await firstMaterial(rotating);
  away = true;
  const failed = reported(rotating);
  clock.advance(day / 2 + 1000);
  await failed;
  expect(rotating.current()).toBe(before);
  expect(rotating.status()).toMatchObject({ lastError: "away", notAfter: before.notAfter });
});

test("a renewal may not change the identity", async () => {
  const clock = new FakeClock();
  let uri = id;
  const rotating = open(clock, { sign: (csr) => signDaily(clock, uri)(csr) });
  await firstMaterial(rotating);
  uri = "spiffe://cluster.local/ns/shop/sa/other";
  const failed = reported(rotating);
  clock.advance(day / 2 + 1000);
  await failed;
  expect(rotating.status().lastError).toBe(`the authority signed ${uri} where this process is ${id}`);
});

test("an authority that never answers counts as failed after twenty seconds", async () => {
  const clock = new FakeClock();
  const asked = Promise.withResolvers<void>();
  const rotating = open(clock, {
    sign: () => {
      asked.resolve();
      return new Promise(() => undefined);
    },
  });
  await asked.promise;
  const failed = reported(rotating);
  clock.advance(20_000);
  await failed;
  expect(rotating.status().lastError).toContain("did not answer within 20000 ms");
});

async function refusalOf(answer: (csrPem: string) => Promise<string[]>): Promise<string | undefined> {
  const rotating = open(new FakeClock(), { sign: answer });
  await reported(rotating);
  return rotating.status().lastError;
}

test("a certificate for another key is refused", async () => {
  const other = await createCertificateRequest();
  expect(await refusalOf(() => authority.sign(other.csrPem, { uris: [id] }))).toContain("does not belong");
});

test("an answer whose chain doesn't hang together is refused", async () => {
  const stranger = await createTestAuthority();
  const refusal = await refusalOf(async (csr) => {
    const [leaf] = await stranger.sign(csr, { uris: [id] });
    return [leaf ?? "", authority.intermediatePem, authority.rootPem];
  });
  expect(refusal).toContain("was not issued by the next one");
});

test("an answer without its root is refused", async () => {
  expect(await refusalOf(async (csr) => (await authority.sign(csr, { uris: [id] })).slice(0, 1))).toContain("root");
});

test("an answer that ended already is refused", async () => {
  const past = { notBefore: new Date(Date.now() - 10_000), notAfter: new Date(Date.now() - 5_000) };
  expect(await refusalOf((csr) => authority.sign(csr, { uris: [id], ...past }))).toContain("already");
});

test("nothing happens after close", async () => {
  const clock = new FakeClock();
  const rotating = open(clock);
  await firstMaterial(rotating);
  rotating.close();
  expect(clock.pendingMs()).toEqual([]);
});

test("a request asks for P-256 and is signed with its own key", async () => {
  const { csrPem } = await createCertificateRequest(id);
  const [leaf] = await authority.sign(csrPem, { uris: [id] });
  expect(new X509Certificate(leaf ?? "").publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "prime256v1" });
});

test("waiting for material ends with the signal", async () => {
  const rotating = open(new FakeClock(), { sign: () => new Promise(() => undefined) });
  const stop = new AbortController();
  const waiting = firstMaterial(rotating, stop.signal);
  stop.abort(new Error("enough"));
  await expect(waiting).rejects.toThrow("enough");
});
