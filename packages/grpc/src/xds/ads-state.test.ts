import { message, pack, typeUrls } from "@weft/xds-api";
import { Resource } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import { describe, expect, test } from "vitest";
import { AdsState, type AdsStateOptions } from "./ads-state.ts";
import { resourceTypes } from "./resource-type.ts";
import {
  any,
  cluster,
  endpoints,
  listener,
  locality,
  route,
  routeConfiguration,
  upstreamTls,
} from "./testing/resources.ts";

const { listener: lds, routeConfiguration: rds, cluster: cds, clusterLoadAssignment: eds } = typeUrls;

function start(options: Partial<AdsStateOptions> = {}) {
  const changes: string[] = [];
  const state = new AdsState({
    types: resourceTypes,
    environment: { hasCertificateProvider: (name) => name === "default" },
    changed: (_, name) => changes.push(name),
    ...options,
  });
  let nonce = 0;
  return {
    state,
    changes,
    receive(typeUrl: string, versionInfo: string, ...resources: Any[]) {
      nonce += 1;
      return state.receive({ typeUrl, versionInfo, nonce: `n${nonce}`, resources });
    },
    take: (nowMs = 0) => state.takeRequests(nowMs),
  };
}

/** A stream on which `names` of LDS were asked for. */
function streaming(...names: string[]) {
  const ads = start();
  for (const name of names) ads.state.subscribe(lds, name);
  ads.state.streamStarted();
  ads.take();
  return ads;
}

const good = (name: string, routeName = "routes") => any.listener(listener(name, routeName));
const bad = (name: string) => any.listener(listener(name, ""));

describe("what is asked", () => {
  test("is sent once there is a stream, one request a type", () => {
    const { state, take } = start();
    state.subscribe(lds, "a");
    state.subscribe(cds, "b");
    state.subscribe(lds, "c");
    expect(take()).toEqual([]);
    state.streamStarted();
    expect(take()).toMatchObject([
      { typeUrl: lds, resourceNames: ["a", "c"], versionInfo: "", responseNonce: "" },
      { typeUrl: cds, resourceNames: ["b"] },
    ]);
    expect(take()).toEqual([]);
  });

  test("carries the version and nonce of the last response", () => {
    const { state, take, receive } = streaming("a");
    receive(lds, "7", good("a"));
    expect(take()).toMatchObject([{ versionInfo: "7", responseNonce: "n1", resourceNames: ["a"] }]);
    state.subscribe(lds, "b");
    expect(take()).toMatchObject([{ versionInfo: "7", responseNonce: "n1", resourceNames: ["a", "b"] }]);
  });

  test("becomes an empty list when the last name goes, but never begins as one", () => {
    const { state, take } = streaming("a");
    state.unsubscribe(lds, "a");
    expect(take()).toMatchObject([{ resourceNames: [] }]);
    state.streamEnded();
    state.streamStarted();
    expect(take()).toEqual([]);
  });

  test("is asked again on the next stream with the last version and no nonce", () => {
    const { state, take, receive } = streaming("a");
    receive(lds, "7", good("a"));
    take();
    state.streamEnded();
    state.streamStarted();
    expect(take()).toMatchObject([{ versionInfo: "7", responseNonce: "", resourceNames: ["a"] }]);
  });

  test("claims no version on a new stream while something of that version is missing", () => {
    const { state, take, receive } = streaming("a");
    receive(lds, "7", good("a"));
    state.streamEnded();
    state.subscribe(lds, "b");
    state.streamStarted();
    expect(take()).toMatchObject([{ versionInfo: "", resourceNames: ["a", "b"] }]);
  });
});

describe("a response", () => {
  test("with something refused is NACKed with the reason, and its valid resources are applied", () => {
    const { state, take, receive } = streaming("a", "b");
    receive(lds, "1", good("a"), bad("b"));
    expect(take()).toMatchObject([
      { versionInfo: "", responseNonce: "n1", problem: 'LDS: "b": api_listener: rds without a route_config_name' },
    ]);
    expect(state.status(lds, "a").kind).toBe("present");
    expect(state.status(lds, "b")).toMatchObject({ kind: "refused" });
  });

  test("that is refused leaves the last good content in force, and says so", () => {
    const { state, take, receive } = streaming("a");
    receive(lds, "1", good("a"));
    receive(lds, "2", bad("a"));
    expect(take()).toMatchObject([{ versionInfo: "1", responseNonce: "n2", problem: expect.any(String) }]);
    expect(state.status(lds, "a")).toMatchObject({ kind: "present", problem: expect.any(String) });
    receive(lds, "3", good("a"));
    expect(state.status(lds, "a")).not.toHaveProperty("problem");
  });

  test("is NACKed again when the same bad bytes come again", () => {
    const { take, receive } = streaming("a");
    receive(lds, "1", bad("a"));
    take();
    receive(lds, "2", bad("a"));
    expect(take()).toMatchObject([{ problem: expect.stringContaining("route_config_name") }]);
  });

  test("may wrap its resources", () => {
    const { state, receive } = streaming("a");
    const url = "type.googleapis.com/envoy.service.discovery.v3.Resource";
    receive(lds, "1", pack(url, Resource, message(Resource, { name: "a", resource: good("a") })));
    expect(state.status(lds, "a").kind).toBe("present");
  });

  test("with bytes that are no message is NACKed and deletes nothing", () => {
    const { state, take, receive } = streaming("a");
    receive(lds, "1", good("a"));
    receive(lds, "2", { typeUrl: lds, value: Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f) });
    expect(take()).toMatchObject([{ versionInfo: "1", problem: expect.stringMatching(/resource 0: malformed/) }]);
    expect(state.status(lds, "a").kind).toBe("present");
  });

  test("with resources of another type is NACKed", () => {
    const { take, receive } = streaming("a");
    receive(lds, "1", any.cluster(cluster("a")));
    expect(take()).toMatchObject([{ problem: expect.stringContaining("in a response of LDS") }]);
  });

  test("may carry what nobody asked for, even if it is bad", () => {
    const { take, receive } = streaming("a");
    receive(lds, "1", good("a"), bad("other"));
    expect(take()).toMatchObject([{ versionInfo: "1" }]);
  });

  test("of an unknown type is not acknowledged", () => {
    const { take, receive } = streaming("a");
    expect(receive("type.googleapis.com/other", "1")).toBe(false);
    expect(take()).toEqual([]);
  });

  test("with the same content changes nothing, in other bytes neither", () => {
    const { state, changes, receive } = streaming("a");
    receive(lds, "1", good("a"));
    const before = state.status(lds, "a");
    receive(lds, "2", good("a"));
    receive(lds, "3", any.listener(message2(listener("a", "routes"))));
    expect(changes).toEqual(["a"]);
    expect(state.status(lds, "a")).toBe(before);
  });

  /** Different bytes, same meaning to a client: Istio's listeners carry statistics prefixes and the like. */
  function message2(value: ReturnType<typeof listener>) {
    return { ...value, statPrefix: "changed" };
  }
});

describe("an update", () => {
  test("that only adds something to a cluster arrives", () => {
    const { state, receive } = streaming();
    state.subscribe(cds, "c");
    receive(cds, "1", any.cluster(cluster("c")));
    receive(cds, "2", any.cluster(cluster("c", { transportSocket: upstreamTls(["spiffe://a/ns/b/sa/c"]) })));
    expect(state.status(cds, "c")).toMatchObject({ config: { tls: { identityInstance: "default" } } });
  });

  test("that only adds a route arrives", () => {
    const { state, receive } = streaming();
    state.subscribe(rds, "r");
    receive(rds, "1", any.routes(routeConfiguration("r", [route("a")])));
    receive(rds, "2", any.routes(routeConfiguration("r", [route("a"), route("b")])));
    expect(state.status(rds, "r")).toMatchObject({ config: { virtualHosts: [{ routes: [{}, {}] }] } });
  });
});

describe("a deletion", () => {
  test("is what a full response leaves out", () => {
    const { state, changes, receive } = streaming("a", "b");
    receive(lds, "1", good("a"), good("b"));
    receive(lds, "2", good("b"));
    expect(state.status(lds, "a")).toEqual({ kind: "absent" });
    expect(changes).toEqual(["a", "b", "a"]);
  });

  test("of what never came is no deletion: it is still awaited", () => {
    const { state, receive } = streaming("a", "b");
    receive(lds, "1", good("b"));
    expect(state.status(lds, "a")).toEqual({ kind: "requested" });
  });

  test("is undone by the same bytes coming again", () => {
    const { state, receive } = streaming("a");
    receive(lds, "1", good("a"));
    receive(lds, "2");
    receive(lds, "3", good("a"));
    expect(state.status(lds, "a").kind).toBe("present");
  });

  test("does not exist for routes and endpoints", () => {
    const { state, receive } = streaming();
    state.subscribe(eds, "x");
    state.subscribe(eds, "y");
    receive(eds, "1", any.endpoints(endpoints("x", 1)));
    receive(eds, "2", any.endpoints(endpoints("y", 2)));
    expect(state.status(eds, "x").kind).toBe("present");
  });

  test("is not a resource that came refused", () => {
    const { state, receive } = streaming("a");
    receive(lds, "1", good("a"));
    receive(lds, "2", bad("a"));
    expect(state.status(lds, "a").kind).toBe("present");
  });

  test("can be ignored (gRFC A53)", () => {
    const { state, receive } = start({ ignoreResourceDeletion: true });
    state.subscribe(lds, "a");
    receive(lds, "1", good("a"));
    receive(lds, "2");
    expect(state.status(lds, "a").kind).toBe("present");
  });
});

describe("a resource that does not come", () => {
  test("is absent 15 s after it was asked for", () => {
    const { state, take } = start();
    state.subscribe(lds, "a");
    state.streamStarted();
    take(1_000);
    expect(state.nextExpiryMs()).toBe(16_000);
    state.expire(15_999);
    expect(state.status(lds, "a").kind).toBe("requested");
    state.expire(16_000);
    expect(state.status(lds, "a").kind).toBe("absent");
    expect(state.nextExpiryMs()).toBeUndefined();
  });

  test("is never late without a connection, and has its full time on the next", () => {
    const { state, take } = start();
    state.subscribe(lds, "a");
    state.streamStarted();
    take(0);
    state.streamEnded();
    expect(state.nextExpiryMs()).toBeUndefined();
    state.streamStarted();
    take(60_000);
    expect(state.nextExpiryMs()).toBe(75_000);
  });

  test("may still come later", () => {
    const { state, take, receive } = streaming("a");
    state.expire(15_000);
    take(15_000);
    receive(lds, "1", good("a"));
    expect(state.status(lds, "a").kind).toBe("present");
  });

  test("is not waited for again on every further request", () => {
    const { state, take } = start();
    state.subscribe(lds, "a");
    state.streamStarted();
    take(0);
    state.subscribe(lds, "b");
    take(10_000);
    state.expire(15_000);
    expect([state.status(lds, "a").kind, state.status(lds, "b").kind]).toEqual(["absent", "requested"]);
  });
});

test("an empty list of endpoints is an answer", () => {
  const { state, receive } = streaming();
  state.subscribe(eds, "x");
  receive(eds, "1", any.endpoints(endpoints("x")));
  receive(eds, "2", any.endpoints(endpoints("x", locality([]))));
  expect(state.status(eds, "x")).toMatchObject({ kind: "present" });
});
