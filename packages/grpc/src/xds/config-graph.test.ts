import { typeUrls } from "@weft/xds-api";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { ConfigGraph, type ConfigView } from "./config-graph.ts";
import { any, cluster, endpoints, listener, route, routeConfiguration, serverListener } from "./testing/resources.ts";
import { ScriptedTransport, settled } from "./testing/scripted-transport.ts";
import { XdsClient } from "./xds-client.ts";

const { listener: lds, routeConfiguration: rds, cluster: cds, clusterLoadAssignment: eds } = typeUrls;

async function follow(target = "echo") {
  const plane = new ScriptedTransport();
  const clock = new ManualClock();
  const client = new XdsClient({
    transport: plane,
    environment: { hasCertificateProvider: () => false },
    clock,
    random: () => 0.5,
  });
  const views: ConfigView[] = [];
  const graph = new ConfigGraph(client, target, target, (view) => views.push(view));
  await settled();
  return { plane, clock, client, graph, views, view: () => views.at(-1)! };
}

/** A graph that serves `echo` from `cluster` at port 1. */
async function serving(...clusters: string[]) {
  const world = await follow();
  const { plane } = world;
  plane.connect();
  plane.respond(lds, any.listener(listener("echo", "routes")));
  await settled();
  const names = clusters.length === 0 ? ["a"] : clusters;
  plane.respond(rds, any.routes(routeConfiguration("routes", split(names))));
  await settled();
  plane.respond(cds, ...names.map((name) => any.cluster(cluster(name))));
  await settled();
  plane.respond(eds, ...names.map((name) => any.endpoints(endpoints(name, 1))));
  await settled();
  return world;
}

const split = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, 1]));

function clusterKinds(view: ConfigView) {
  if (view.kind !== "serving") return view.kind;
  return Object.fromEntries([...view.clusters].map(([name, { kind }]) => [name, kind]));
}

function portOf(view: ConfigView, name: string) {
  const found = view.kind === "serving" ? view.clusters.get(name) : undefined;
  return found?.kind === "ready" ? found.assignment.priorities[0]?.[0]?.endpoints[0]?.addresses[0]?.port : undefined;
}

describe("at the start", () => {
  test("asks for the listener, then routes, clusters and endpoints", async () => {
    const { plane, view } = await serving();
    expect([lds, rds, cds, eds].map((type) => plane.asked(type))).toEqual([["echo"], ["routes"], ["a"], ["a"]]);
    expect(clusterKinds(view())).toEqual({ a: "ready" });
  });

  test("waits while the control plane has not answered", async () => {
    const { view, plane } = await follow();
    expect(view()).toEqual({ kind: "waiting" });
    plane.connect();
    await settled();
    expect(view()).toEqual({ kind: "waiting" });
  });

  test("tells why it waits after the first failed attempt to connect", async () => {
    const { view, plane } = await follow();
    plane.fail("connect ECONNREFUSED 127.0.0.1:15012");
    await settled();
    expect(view()).toMatchObject({ kind: "waiting", problem: { code: "UNAVAILABLE" } });
    expect(view()).toHaveProperty("problem.details", expect.stringMatching(/control plane .*"echo".*ECONNREFUSED/));
  });

  test("serves calls to clusters that are ready while another has no endpoints yet", async () => {
    const { view, plane } = await follow();
    plane.connect();
    plane.respond(lds, any.listener(listener("echo", "routes")));
    await settled();
    plane.respond(rds, any.routes(routeConfiguration("routes", { a: 1, b: 1 })));
    await settled();
    plane.respond(cds, any.cluster(cluster("a")), any.cluster(cluster("b")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("a", 1)));
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready", b: "pending" });
  });
});

describe("the answer that there is nothing", () => {
  test("names the listener that does not come", async () => {
    const { view, plane, clock } = await follow();
    plane.connect();
    await settled();
    clock.advance(15_000);
    await settled();
    expect(view()).toMatchObject({
      kind: "failed",
      error: { code: "UNAVAILABLE", details: expect.stringContaining('listener "echo"') },
    });
  });

  test("names the listener that is deleted, and comes back with it", async () => {
    const { view, plane } = await serving();
    plane.respond(lds);
    await settled();
    expect(view()).toMatchObject({ kind: "failed", error: { details: expect.stringContaining('listener "echo"') } });
    plane.respond(lds, any.listener(listener("echo", "routes")));
    await settled();
    plane.respond(rds, any.routes(routeConfiguration("routes", "a")));
    await settled();
    plane.respond(cds, any.cluster(cluster("a")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("a", 1)));
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready" });
  });

  test("names the virtual host that is missing", async () => {
    const { view, plane } = await follow();
    plane.connect();
    plane.respond(lds, any.listener(listener("echo", "routes")));
    await settled();
    plane.respond(rds, any.routes(routeConfiguration("routes", "a", ["other"])));
    await settled();
    expect(view()).toMatchObject({ error: { details: 'route configuration "routes" has no virtual host for "echo"' } });
  });

  test("says what is invalid", async () => {
    const { view, plane } = await follow();
    plane.connect();
    plane.respond(lds, any.listener(listener("echo", "")));
    await settled();
    expect(view()).toMatchObject({
      error: { details: expect.stringMatching(/listener "echo" is invalid: .*route_config_name/) },
    });
  });

  test("says that a listener is a server's", async () => {
    const { view, plane } = await follow();
    plane.connect();
    plane.respond(lds, any.listener(serverListener("echo")));
    await settled();
    expect(view()).toMatchObject({ error: { details: expect.stringContaining("a server's") } });
  });

  test("of one cluster fails that cluster alone", async () => {
    const { view, plane } = await serving("a", "b");
    plane.respond(cds, any.cluster(cluster("b")));
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "failed", b: "ready" });
  });

  test("of endpoints after 15 s fails their cluster alone", async () => {
    const { view, plane, clock } = await follow();
    plane.connect();
    plane.respond(lds, any.listener(listener("echo", "routes")));
    await settled();
    plane.respond(rds, any.routes(routeConfiguration("routes", { a: 1, b: 1 })));
    await settled();
    plane.respond(cds, any.cluster(cluster("a")), any.cluster(cluster("b")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("a", 1)));
    await settled();
    clock.advance(15_000);
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready", b: "failed" });
  });
});

describe("a new route table", () => {
  test("serves only when all its clusters have endpoints; until then the old one does", async () => {
    const { view, plane } = await serving();
    plane.respond(rds, any.routes(routeConfiguration("routes", { v1: 20, v2: 80 })));
    await settled();
    plane.respond(cds, ...["a", "v1", "v2"].map((name) => any.cluster(cluster(name))));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("v1", 1)));
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready" });
    plane.respond(eds, any.endpoints(endpoints("v2", 2)));
    await settled();
    expect(clusterKinds(view())).toEqual({ v1: "ready", v2: "ready" });
  });

  test("does not wait for a cluster that definitely is not there", async () => {
    const { view, plane, clock } = await serving();
    plane.respond(rds, any.routes(routeConfiguration("routes", [route("gone"), route("a")])));
    await settled();
    clock.advance(15_000);
    await settled();
    expect(clusterKinds(view())).toEqual({ gone: "failed", a: "ready" });
  });

  test("does not keep the old table's endpoints from changing meanwhile", async () => {
    const { view, plane } = await serving();
    plane.respond(rds, any.routes(routeConfiguration("routes", "slow")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("a", 2)));
    await settled();
    expect(portOf(view(), "a")).toBe(2);
  });

  test("drops the clusters that it no longer names, only once it serves", async () => {
    const { plane } = await serving();
    plane.respond(rds, any.routes(routeConfiguration("routes", "b")));
    await settled();
    expect(plane.asked(cds)).toEqual(["a", "b"]);
    plane.respond(cds, any.cluster(cluster("a")), any.cluster(cluster("b")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("b", 1)));
    await settled();
    expect(plane.asked(cds)).toEqual(["b"]);
    expect(plane.asked(eds)).toEqual(["b"]);
  });

  test("keeps its identity when only other virtual hosts changed", async () => {
    const { view, plane } = await serving();
    const before = view();
    const changed = routeConfiguration("routes", split(["a"]));
    changed.virtualHosts.push({ ...changed.virtualHosts[0]!, name: "other", domains: ["other"] });
    plane.respond(rds, any.routes(changed));
    await settled();
    expect(
      before.kind === "serving" && view().kind === "serving" && before.config === (view() as typeof before).config,
    ).toBe(true);
  });
});

describe("a listener that moves to other routes", () => {
  test("serves the old ones until the new ones are there", async () => {
    const { view, plane } = await serving();
    plane.respond(lds, any.listener(listener("echo", "other")));
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready" });
    plane.respond(rds, any.routes(routeConfiguration("other", "b")));
    await settled();
    plane.respond(cds, any.cluster(cluster("a")), any.cluster(cluster("b")));
    await settled();
    plane.respond(eds, any.endpoints(endpoints("b", 1)));
    await settled();
    expect(clusterKinds(view())).toEqual({ b: "ready" });
  });
});

describe("while the control plane is down", () => {
  test("the last good configuration stays, for as long as it takes", async () => {
    const { view, plane, clock } = await serving();
    plane.fail();
    await settled();
    clock.advance(600_000);
    await settled();
    expect(clusterKinds(view())).toEqual({ a: "ready" });
  });

  test("nothing new becomes absent", async () => {
    const { view, plane, clock } = await follow();
    plane.fail();
    await settled();
    clock.advance(60_000);
    await settled();
    expect(view()).toMatchObject({ kind: "waiting", problem: {} });
  });

  test("the next stream asks for everything again, and its news arrive", async () => {
    const { view, plane, clock } = await serving();
    plane.fail();
    clock.advance(1_000);
    plane.connect();
    await settled();
    expect([lds, rds, cds, eds].map((type) => plane.asked(type))).toEqual([["echo"], ["routes"], ["a"], ["a"]]);
    plane.respond(eds, any.endpoints(endpoints("a", 9)));
    await settled();
    expect(portOf(view(), "a")).toBe(9);
  });
});

test("a cluster that moves to other endpoints keeps the old ones until the new ones are there", async () => {
  const { view, plane } = await serving();
  const moved = cluster("a");
  moved.edsClusterConfig = { ...moved.edsClusterConfig!, serviceName: "elsewhere" };
  plane.respond(cds, any.cluster(moved));
  await settled();
  expect(portOf(view(), "a")).toBe(1);
  plane.respond(eds, any.endpoints(endpoints("elsewhere", 7)));
  await settled();
  expect(portOf(view(), "a")).toBe(7);
});

test("closing it ends all it asked for, and with the last one the stream", async () => {
  const { graph, plane, clock } = await serving();
  graph.close();
  await settled();
  expect(plane.isOpen).toBe(false);
  expect(clock.pendingMs).toEqual([]);
});
