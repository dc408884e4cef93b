import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { authenticate, type KnownToken } from "./authenticate.ts";
import { joinTokenHash, mintJoinToken, parseJoinToken } from "./join-token.ts";
import { formatTokenRecord, parseTokenRecord, type TokenRecord, useToken } from "./token-record.ts";

const rootDer = new Uint8Array([1, 2, 3]);
const record = (fields: Partial<TokenRecord> = {}): TokenRecord => ({
  namespace: "shop",
  serviceAccount: "cart",
  labels: { app: "cart" },
  anyLabel: false,
  addresses: [],
  createdMs: 0,
  expiresMs: 1000,
  ...fields,
});

function authenticator(text: string, fields: Partial<TokenRecord> = {}, nowMs = 0) {
  const token = parseJoinToken(text);
  if (token === undefined) throw new Error("not a token");
  const known: KnownToken = { id: "t1", secretHash: joinTokenHash(token), record: record(fields) };
  return {
    trustDomain: "cluster.local",
    nowMs: () => nowMs,
    findToken: (hash: string) => (hash === known.secretHash ? known : undefined),
  };
}

const bearer = (text: string) => ({ authorization: `Bearer ${text}`, peer: undefined });

test("a join token proves the namespace and service account it was made for", () => {
  const text = mintJoinToken(rootDer, randomBytes);
  const identity = authenticate(bearer(text), authenticator(text));
  expect(identity.spiffeId).toBe("spiffe://cluster.local/ns/shop/sa/cart");
  expect(identity).toMatchObject({ labels: { app: "cart" }, anyLabel: false, addresses: [] });
});

test("an unknown, malformed, expired or missing token is refused", () => {
  const text = mintJoinToken(rootDer, randomBytes);
  const known = authenticator(text);
  expect(() => authenticate(bearer(mintJoinToken(rootDer, randomBytes)), known)).toThrow(/unknown/);
  expect(() => authenticate(bearer("weft1.x.y"), known)).toThrow(/not a join token/);
  expect(() => authenticate(bearer(text), authenticator(text, {}, 1000))).toThrow(/expired/);
  expect(() => authenticate({ authorization: undefined, peer: undefined }, known)).toThrow(/required/);
});

test("a use is a process: asking again with the same key is not another", () => {
  const first = useToken(record({ usesLeft: 1 }), "key-a") as TokenRecord;
  expect(first.usesLeft).toBe(0);
  expect(useToken(first, "key-a")).toEqual(first);
  expect(useToken(first, "key-b")).toMatchObject({ problem: /no uses left/ });
});

test("a record survives being stored", () => {
  expect(parseTokenRecord(formatTokenRecord(record({ usesLeft: 3 })))).toEqual(record({ usesLeft: 3 }));
});

test("no text but a token's own parses as one", () => {
  const text = mintJoinToken(rootDer, randomBytes);
  expect(parseJoinToken(text)?.rootHash).toHaveLength(32);
  fc.assert(fc.property(fc.string(), (other) => parseJoinToken(other) === undefined));
});

test.each([0, 1, 100])(
  "a token whose uses are counted, %i left, is good for asking for a certificate alone",
  (usesLeft) => {
    const text = mintJoinToken(rootDer, randomBytes);
    const options = authenticator(text, { usesLeft });
    expect(() => authenticate(bearer(text), options)).toThrow("uses are counted");
    expect(authenticate(bearer(text), { ...options, joins: true }).proof).toEqual({ kind: "token", tokenId: "t1" });
  },
);

test("a record from before labels were bounded allows none", () => {
  const { labels: _, ...old } = record();
  expect(parseTokenRecord(JSON.stringify(old))).toMatchObject({ labels: {}, anyLabel: false, addresses: [] });
});
