import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { FileSource } from "./file-source.ts";
import type { TlsMaterial } from "./material.ts";
import { createTestAuthority, type TestAuthority } from "./testing/certificates.ts";
import { FakeClock } from "./testing/fake-clock.ts";

let authority: TestAuthority;
let first: TlsMaterial;
let second: TlsMaterial;
beforeAll(async () => {
  authority = await createTestAuthority();
  first = await authority.issue({ uris: ["spiffe://cluster.local/ns/a/sa/first"] });
  second = await authority.issue({ uris: ["spiffe://cluster.local/ns/a/sa/second"] });
});

let folder: string;
let source: FileSource | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "weft-files-"));
});
afterEach(async () => {
  source?.close();
  await rm(folder, { recursive: true });
});

const file = (name: string) => join(folder, name);
const writeKey = (material: TlsMaterial) => writeFile(file("key.pem"), material.privateKeyPem);
const writeChain = (material: TlsMaterial) => writeFile(file("cert.pem"), material.certificateChainPem);
const writeRoots = (pem: string) => writeFile(file("root.pem"), pem);

async function writeAll(material: TlsMaterial): Promise<void> {
  await Promise.all([writeKey(material), writeChain(material), writeRoots(material.rootsPem)]);
}

async function open(clock = new FakeClock()): Promise<FileSource> {
  source = new FileSource({
    certificateFile: file("cert.pem"),
    privateKeyFile: file("key.pem"),
    caCertificateFile: file("root.pem"),
    refreshIntervalMs: 60_000,
    clock,
  });
  await source.refresh();
  return source;
}

test("material comes from the three files", async () => {
  await writeAll(first);
  const files = await open();
  expect(files.current()).toEqual(first);
  expect(files.status()).toMatchObject({ notAfter: first.notAfter, lastError: undefined });
});

test("the files are read again at the refresh interval", async () => {
  await writeAll(first);
  const clock = new FakeClock();
  const files = await open(clock);
  expect(clock.pendingMs()).toEqual([60_000]);
  await writeAll(second);
  const changed = new Promise<void>((resolve) => files.watch(resolve));
  clock.advance(60_000);
  await changed;
  expect(files.current()).toEqual(second);
});

test("the old pair stays while only the key is new", async () => {
  await writeAll(first);
  const files = await open();
  await writeKey(second);
  await files.refresh();
  expect(files.current()).toEqual(first);
  expect(files.status().lastError).toContain("does not belong to the certificate");
});

test("the pair swaps once the certificate follows its key", async () => {
  await writeAll(first);
  const files = await open();
  await writeKey(second);
  await files.refresh();
  await writeChain(second);
  await files.refresh();
  expect(files.current()).toEqual(second);
  expect(files.status().lastError).toBeUndefined();
});

test("a torn pair is looked at again within a second", async () => {
  await writeAll(first);
  await writeKey(second);
  const clock = new FakeClock();
  const files = await open(clock);
  expect(files.current()).toBeUndefined();
  expect(clock.pendingMs()).toEqual([1_000]);
});

test("a file that vanishes leaves the last good material, and is reported", async () => {
  await writeAll(first);
  const files = await open();
  await rm(file("cert.pem"));
  await files.refresh();
  expect(files.current()).toEqual(first);
  expect(files.status().lastError).toContain("ENOENT");
});

test("a broken root bundle leaves the last good one", async () => {
  await writeAll(first);
  const files = await open();
  await writeRoots("nothing");
  await files.refresh();
  expect(files.roots()).toBe(authority.rootPem);
  expect(files.status().lastError).toContain("holds no PEM certificate");
});

test("new roots reach the current pair", async () => {
  await writeAll(first);
  const files = await open();
  const both = authority.rootPem + (await createTestAuthority("next")).rootPem;
  await writeRoots(both);
  await files.refresh();
  expect(files.current()?.rootsPem).toBe(both);
});

test("nobody is woken when nothing changed", async () => {
  await writeAll(first);
  const files = await open();
  let wakes = 0;
  files.watch(() => {
    wakes += 1;
  });
  await files.refresh();
  expect(wakes).toBe(0);
});

test("roots alone give trust without a certificate", async () => {
  await writeRoots(authority.rootPem);
  source = new FileSource({ caCertificateFile: file("root.pem") });
  await source.refresh();
  expect(source.roots()).toBe(authority.rootPem);
  expect(source.current()).toBeUndefined();
});

test("a certificate without its key is refused at once", () => {
  expect(() => new FileSource({ certificateFile: "x" })).toThrow("together");
});
