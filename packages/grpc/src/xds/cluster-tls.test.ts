import { describe, expect, test } from "vitest";
import type { PeerVerification, SubjectAltName } from "../identity/peer-verification.ts";
import { staticIdentity } from "../identity/static-source.ts";
import type { StringMatch } from "../matching/string-match.ts";
import { ClusterTlsCache } from "./cluster-tls.ts";

function identity(spiffeId?: string) {
  return staticIdentity({
    privateKeyPem: "",
    certificateChainPem: "",
    rootsPem: "",
    spiffeId,
    notAfter: new Date(0),
  });
}

const own = identity("spiffe://cluster.local/ns/echo/sa/client");
const cache = (source = own) => new ClusterTlsCache({ certificateProvider: () => source });
const tls = (...names: StringMatch[]) => ({ rootsInstance: "default", identityInstance: "default", names });
const exact = (value: string, ignoreCase = false): StringMatch => ({ kind: "exact", value, ignoreCase });
const verifyOf = (...names: StringMatch[]) => cache().settings("a", tls(...names)).verify;

function accepts(verify: PeerVerification, type: SubjectAltName["type"], value: string): boolean {
  return verify.kind === "name" && verify.matches({ type, value });
}

describe("the server that a cluster expects", () => {
  test("is exactly one of the SPIFFE ids, where that is what is named", () => {
    const id = "spiffe://cluster.local/ns/echo/sa/server";
    expect(verifyOf(exact(id))).toEqual({ kind: "spiffe", allowed: { kind: "ids", ids: [id] } });
  });

  test("is anybody of this process's trust domain, where nobody is named", () => {
    const verify = verifyOf();
    if (verify.kind !== "spiffe" || verify.allowed.kind !== "matcher") throw new Error(`not a matcher: ${verify.kind}`);
    const { matches } = verify.allowed;
    const id = (trustDomain: string) => ({ uri: "", trustDomain, path: "", workload: undefined });
    expect([matches(id("cluster.local")), matches(id("elsewhere"))]).toEqual([true, false]);
  });

  test("is whoever the roots vouch for, where nobody is named and this process has no SPIFFE id", () => {
    const { verify } = cache(identity()).settings("a", tls());
    expect(accepts(verify, "DNS", "echo.local")).toBe(true);
  });

  test("may be named by DNS, with the certificate's wildcard for one label", () => {
    const verify = verifyOf(exact("a.echo.local"));
    expect(accepts(verify, "DNS", "A.echo.local")).toBe(true);
    expect(accepts(verify, "DNS", "*.echo.local")).toBe(true);
    expect(accepts(verify, "DNS", "*.local")).toBe(false);
    expect(accepts(verify, "DNS", "*")).toBe(false);
    expect(accepts(verify, "email", "a.echo.local")).toBe(false);
  });

  test("may be named by a pattern, which the whole name has to match", () => {
    const verify = verifyOf({ kind: "regex", pattern: "zzz|spiffe://cluster.local/.*" });
    expect(accepts(verify, "URI", "spiffe://cluster.local/ns/a/sa/b")).toBe(true);
    expect(accepts(verify, "URI", "x-spiffe://cluster.local/zzz")).toBe(false);
  });
});

describe("a cluster's settings", () => {
  test("stay one object while only the names change, so that connections stay", () => {
    const settings = cache();
    const first = settings.settings("a", tls(exact("spiffe://td/one")));
    const second = settings.settings("a", tls(exact("spiffe://td/two")));
    expect(second).toBe(first);
    expect(first.verify).toMatchObject({ allowed: { ids: ["spiffe://td/two"] } });
  });

  test("are another object for another cluster or another certificate", () => {
    const settings = cache();
    const first = settings.settings("a", tls());
    expect(settings.settings("b", tls())).not.toBe(first);
    expect(settings.settings("a", { ...tls(), identityInstance: "other" })).not.toBe(first);
  });
});
