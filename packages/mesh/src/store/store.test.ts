import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, test } from "vitest";
import type { ResourceWrite } from "./records.ts";
import { openStore, type Store } from "./store.ts";
import { ManualClock } from "./testing/manual-clock.ts";

const directories: string[] = [];
const open: Store[] = [];

afterEach(() => {
  for (const store of open.splice(0)) store.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

function dataDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "weft-store-"));
  directories.push(directory);
  return join(directory, "data");
}

function opened(directory = dataDirectory(), clock = new ManualClock()): Store {
  const result = openStore({ directory, clock });
  if (result.kind === "refused") throw new Error(result.problem.message);
  open.push(result.store);
  return result.store;
}

function document(name: string, text = `kind: Service # ${name}`): ResourceWrite {
  return { kind: "Service", namespace: "shop", name, text, file: "shop.yaml", line: 3 };
}

test("keeps a document as it was applied, with its place", () => {
  const store = opened();
  store.resources.apply([document("echo")]);
  expect(store.resources.get(document("echo"))).toMatchObject({
    text: "kind: Service # echo",
    file: "shop.yaml",
    line: 3,
    generation: 1,
    revision: 1,
  });
});

test("a changed text raises the generation and keeps the time of creation", () => {
  const clock = new ManualClock(1_000);
  const store = opened(dataDirectory(), clock);
  store.resources.apply([document("echo")]);
  clock.advance(500);
  const { outcomes } = store.resources.apply([document("echo", "kind: Service # other")]);
  expect(outcomes).toMatchObject([{ change: "configured", generation: 2 }]);
  expect(store.resources.get(document("echo"))).toMatchObject({ createdMs: 1_000, updatedMs: 1_500, revision: 2 });
});

test("the same text again changes nothing, not even the revision", () => {
  const store = opened();
  store.resources.apply([document("echo")]);
  expect(store.resources.apply([document("echo")])).toMatchObject({ revision: 1, outcomes: [{ change: "unchanged" }] });
});

test("a batch that fails half way leaves nothing behind", () => {
  const store = opened();
  const broken = { ...document("b"), line: "not a number" as unknown as number };
  expect(() => store.resources.apply([document("a"), broken])).toThrow();
  expect(store.resources.list()).toEqual([]);
  expect(store.resources.revision()).toBe(0);
});

test("deleting what isn't there is no change", () => {
  const store = opened();
  expect(store.resources.delete([document("echo")])).toEqual({ revision: 0, outcomes: [] });
});

test("what was kept is there after closing and opening again, and revisions go on", () => {
  const directory = dataDirectory();
  const first = opened(directory);
  first.resources.apply([document("a"), document("b")]);
  first.registrations.put({ id: "one", record: "{}", lastSeenMs: 7 });
  first.interfaces.claim(["greet.v1.Greeter"], "shop", 9);
  first.close();
  const second = opened(directory);
  expect(second.resources.list().map((resource) => resource.name)).toEqual(["a", "b"]);
  expect(second.registrations.list()).toEqual([{ id: "one", record: "{}", lastSeenMs: 7 }]);
  expect(second.interfaces.owner("greet.v1.Greeter")).toBe("shop");
  expect(second.resources.delete([document("a")]).revision).toBe(2);
});

test("an interface stays with the namespace that claimed it first", () => {
  const store = opened();
  store.interfaces.claim(["greet.v1.Greeter"], "shop", 1);
  store.interfaces.claim(["greet.v1.Greeter"], "thief", 2);
  expect(store.interfaces.list()).toEqual([{ name: "greet.v1.Greeter", namespace: "shop", sinceMs: 1 }]);
});

test("a registration takes the place of those that it replaces", () => {
  const store = opened();
  store.registrations.put({ id: "old", record: "{}", lastSeenMs: 1 });
  store.registrations.put({ id: "new", record: "{}", lastSeenMs: 2 }, ["old"]);
  expect(store.registrations.list().map((registration) => registration.id)).toEqual(["new"]);
});

test("a token's record changes only where the change says so", () => {
  const store = opened();
  store.tokens.put({ id: "t1", secretHash: "ab", record: "1" });
  expect(store.tokens.update("t1", (record) => (record === "1" ? "0" : undefined))).toBe(true);
  expect(store.tokens.update("t1", (record) => (record === "1" ? "0" : undefined))).toBe(false);
  expect(store.tokens.findByHash("ab")?.record).toBe("0");
});

test("the audit log keeps its newest entries and cuts long fields", () => {
  const store = opened();
  const entry = { atMs: 1, principal: "admin", action: "apply", outcome: "refused", detail: "" } as const;
  store.audit.append({ ...entry, subject: "first" });
  store.audit.append({ ...entry, subject: "x".repeat(5_000) });
  const [newest, oldest] = store.audit.latest(5);
  expect(newest?.subject.length).toBeLessThan(1_100);
  expect(oldest?.subject).toBe("first");
});

test("only the owner can read the directory and the database's files", () => {
  const directory = dataDirectory();
  opened(directory).resources.apply([document("echo")]);
  const modes = [directory, join(directory, "weft.db"), join(directory, "weft.db-wal"), join(directory, "weft.pid")];
  expect(modes.map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual(["700", "600", "600", "600"]);
});

test("a directory that others can read and that isn't empty is refused", () => {
  const directory = dataDirectory();
  mkdirSync(directory);
  writeFileSync(join(directory, "notes.txt"), "");
  chmodSync(directory, 0o755);
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({
    kind: "refused",
    problem: { kind: "exposed", hint: `chmod 700 ${directory}` },
  });
});

test("a second opener is told which process holds the store", () => {
  const directory = dataDirectory();
  opened(directory);
  const second = openStore({ directory, clock: new ManualClock() });
  expect(second).toMatchObject({ kind: "refused", problem: { kind: "locked" } });
  expect(second.kind === "refused" && second.problem.message).toContain(`process ${process.pid}`);
});

test("a file that is no database is called damaged, and left alone", () => {
  const directory = dataDirectory();
  mkdirSync(directory, { mode: 0o700 });
  const path = join(directory, "weft.db");
  const noise = "this was never a database. ".repeat(200);
  writeFileSync(path, noise);
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({ problem: { kind: "corrupt", path } });
  expect(readFileSync(path, "utf8")).toBe(noise);
});

test("a database with a damaged page is called damaged", () => {
  const directory = dataDirectory();
  const store = opened(directory);
  store.resources.apply(Array.from({ length: 200 }, (_, index) => document(`service-${index}`)));
  store.close();
  const path = join(directory, "weft.db");
  const bytes = readFileSync(path);
  bytes.fill(0xff, 4096 * 3, 4096 * 6);
  writeFileSync(path, bytes);
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({ problem: { kind: "corrupt" } });
});

test("another program's database is not taken over", () => {
  const directory = dataDirectory();
  mkdirSync(directory, { mode: 0o700 });
  const other = new DatabaseSync(join(directory, "weft.db"));
  other.exec("CREATE TABLE theirs (x); PRAGMA user_version=1");
  other.close();
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({ problem: { kind: "corrupt" } });
});

test("a store of a newer weft is refused, not guessed at", () => {
  const directory = dataDirectory();
  opened(directory).close();
  const database = new DatabaseSync(join(directory, "weft.db"));
  database.exec("PRAGMA user_version=99");
  database.close();
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({ problem: { kind: "newer" } });
});

test("a path that can't be a directory is explained", () => {
  const directory = dataDirectory();
  writeFileSync(directory, "a file");
  expect(openStore({ directory, clock: new ManualClock() })).toMatchObject({ problem: { kind: "inaccessible" } });
});
