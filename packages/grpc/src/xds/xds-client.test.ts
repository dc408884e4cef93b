import { typeUrls } from "@weft/xds-api";
import { describe, expect, test } from "vitest";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { listenerType } from "./resource-type.ts";
import { any, listener } from "./testing/resources.ts";
import { ScriptedTransport, settled } from "./testing/scripted-transport.ts";
import { type Refusal, XdsClient } from "./xds-client.ts";

const lds = typeUrls.listener;

async function start(...names: string[]) {
  const plane = new ScriptedTransport();
  const clock = new ManualClock();
  const refusals: Refusal[] = [];
  const client = new XdsClient({
    transport: plane,
    environment: { hasCertificateProvider: () => false },
    clock,
    random: () => 0.5,
    onRefusal: (refusal) => refusals.push(refusal),
  });
  const watches = names.map((name) => client.watch(listenerType, name, () => undefined));
  await settled();
  return { plane, clock, client, refusals, watches };
}

const good = (name: string) => any.listener(listener(name, "routes"));

describe("reconnecting", () => {
  test("backs off after attempts without an answer, longer each time", async () => {
    const { plane, clock } = await start("a");
    const delays: number[] = [];
    for (let attempt = 0; attempt < 4; attempt++) {
      plane.fail();
      let delayMs = 0;
      while (!plane.isOpen) {
        clock.advance(100);
        delayMs += 100;
      }
      delays.push(delayMs);
    }
    expect(delays).toEqual([1_000, 1_600, 2_600, 4_100]);
  });

  test("begins anew with short waits after a stream that answered", async () => {
    const { plane, clock } = await start("a");
    for (let attempt = 0; attempt < 5; attempt++) {
      plane.fail();
      clock.advance(60_000);
    }
    plane.connect();
    plane.respond(lds, good("a"));
    plane.fail();
    clock.advance(200);
    expect(plane.isOpen).toBe(true);
    plane.fail();
    clock.advance(1_000);
    expect(plane.isOpen).toBe(true);
  });

  test("waits for the connection itself once the reason was told", async () => {
    const { plane, clock } = await start("a");
    plane.fail();
    clock.advance(1_000);
    expect(plane.openedWith).toEqual([false, true]);
  });

  test("is no failure after a stream that answered", async () => {
    const { plane, client } = await start("a");
    plane.connect();
    plane.respond(lds, good("a"));
    plane.fail();
    expect(client.connection.kind).toBe("connecting");
  });
});

describe("watching", () => {
  test("one resource twice asks for it once, and until the last watch closes", async () => {
    const { plane, watches, client } = await start("a", "a");
    plane.connect();
    expect(plane.asked(lds)).toEqual(["a"]);
    client.watch(listenerType, "b", () => undefined);
    watches[0]!.close();
    await settled();
    expect(plane.asked(lds)).toEqual(["a", "b"]);
    watches[1]!.close();
    await settled();
    expect(plane.asked(lds)).toEqual(["b"]);
  });

  test("several changes of one turn go out as one request", async () => {
    const { plane, client } = await start("a");
    plane.connect();
    plane.requests.length = 0;
    for (const name of ["b", "c", "d"]) client.watch(listenerType, name, () => undefined);
    await settled();
    expect(plane.requests.map((request) => request.resourceNames)).toEqual([["a", "b", "c", "d"]]);
  });

  test("acknowledges with the names that were asked before those that an update brings up", async () => {
    const { plane, client } = await start();
    client.watch(listenerType, "a", () => client.watch(listenerType, "b", () => undefined));
    await settled();
    plane.connect();
    plane.requests.length = 0;
    plane.respond(lds, good("a"));
    await settled();
    expect(plane.requests.map(({ resourceNames, responseNonce }) => [responseNonce, ...resourceNames])).toEqual([
      ["n1", "a"],
      ["n1", "a", "b"],
    ]);
  });

  test("nothing opens no stream", async () => {
    const { plane } = await start();
    expect(plane.openedWith).toEqual([]);
  });
});

test("a refusal is sent with its reason and told to whoever keeps a log", async () => {
  const { plane, refusals } = await start("a");
  plane.connect();
  plane.respond(lds, any.listener(listener("a", "")));
  expect(plane.requests.at(-1)?.errorDetail).toMatchObject({ code: 3, message: expect.stringContaining('"a"') });
  expect(refusals).toMatchObject([{ typeUrl: lds, reason: expect.stringContaining("route_config_name") }]);
});
