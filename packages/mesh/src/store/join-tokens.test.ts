import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { joinTokenHash, parseJoinToken } from "../authn/join-token.ts";
import { type CreatedToken, JoinTokens, type TokenRequest } from "./join-tokens.ts";
import { openStore, type Store } from "./store.ts";
import { ManualClock } from "./testing/manual-clock.ts";

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function tokens(): { readonly clock: ManualClock; readonly store: Store; readonly tokens: JoinTokens } {
  const directory = mkdtempSync(join(tmpdir(), "weft-tokens-"));
  const clock = new ManualClock();
  const opened = openStore({ directory: join(directory, "data"), clock });
  if (opened.kind === "refused") throw new Error(opened.problem.message);
  const { store } = opened;
  cleanups.push(() => {
    store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { clock, store, tokens: new JoinTokens({ table: store.tokens, rootDer: Buffer.from("root"), clock }) };
}

function created(from: JoinTokens, request: Partial<TokenRequest> = {}): CreatedToken {
  const made = from.create({ namespace: "shop", serviceAccount: "echo", ...request });
  if ("severity" in made) throw new Error(made.message);
  return made;
}

function hashOf({ token }: CreatedToken): string {
  const parsed = parseJoinToken(token);
  if (parsed === undefined) throw new Error("not a token");
  return joinTokenHash(parsed);
}

test("a token is found by the hash of its secret, with what it allows", () => {
  const { tokens: all } = tokens();
  const made = created(all, { labels: { app: "echo" }, addresses: ["10.0.0.0/8"] });
  expect(all.find(hashOf(made))).toMatchObject({
    id: made.id,
    record: { namespace: "shop", serviceAccount: "echo", labels: { app: "echo" }, addresses: ["10.0.0.0/8"] },
  });
});

test("a token without labels allows none, unless it is made for any", () => {
  const { tokens: all } = tokens();
  expect(created(all)).toMatchObject({ labels: {}, anyLabel: false });
  expect(created(all, { anyLabel: true })).toMatchObject({ labels: {}, anyLabel: true });
  const both = created(all, { labels: { app: "echo" }, anyLabel: true });
  expect(all.find(hashOf(both))?.record).toMatchObject({ labels: { app: "echo" }, anyLabel: true });
});

test("nothing that is kept has the secret", () => {
  const { store, tokens: all } = tokens();
  const made = created(all);
  const secret = made.token.split(".")[1] ?? "";
  expect(JSON.stringify([store.tokens.list(), all.list()])).not.toContain(secret);
});

test("a token lives an hour unless it is said otherwise", () => {
  const { tokens: all } = tokens();
  const made = created(all);
  expect(made.expiresMs - made.createdMs).toBe(3_600_000);
});

test("uses count processes: the same key asking again is the same use", () => {
  const { tokens: all } = tokens();
  const { id } = created(all, { uses: 1 });
  expect(all.join(id, "key one")).toBeUndefined();
  expect(all.join(id, "key one")).toBeUndefined();
  expect(all.join(id, "key two")).toContain("no uses left");
  expect(all.list()).toMatchObject([{ usesLeft: 0 }]);
});

test("nobody joins with a revoked or expired token", () => {
  const { clock, tokens: all } = tokens();
  const [revoked, expired] = [created(all), created(all, { ttlMs: 10_000 })];
  expect(all.revoke(revoked.id)).toBe(true);
  clock.advance(10_000);
  expect(all.join(revoked.id, "key")).toContain("revoked");
  expect(all.join(expired.id, "key")).toContain("expired");
  expect(all.find(hashOf(revoked))).toBeUndefined();
});

test.each([
  ["a namespace that is no label", { namespace: "a/b" }],
  ["the control plane's own namespace", { namespace: "weft-system" }],
  ["no service account", { serviceAccount: "" }],
  ["a label that is none", { labels: { "no spaces": "x" } }],
  ["a block that is none", { addresses: ["10.0.0.0/33"] }],
  ["a life of years", { ttlMs: 3_650 * 24 * 3_600_000 }],
  ["no uses", { uses: 0 }],
])("a token with %s is not made", (_, request) => {
  const { tokens: all } = tokens();
  expect(all.create({ namespace: "shop", serviceAccount: "echo", ...request })).toMatchObject({ code: "WEFT0402" });
  expect(all.list()).toEqual([]);
});
