import { message, shortTypeName } from "@weft/xds-api";
import { Any } from "@weft/xds-api/google/protobuf/any";
import { Status } from "@weft/xds-api/google/rpc/status";
import { describe, expect, test } from "vitest";
import type { DiscoveryEvent } from "./client-status.ts";
import { createDiscovery, type Discovery, type DiscoveryOptions } from "./discovery.ts";
import type { EncodedResponse } from "./response.ts";
import { MemorySource } from "./testing/memory-source.ts";
import { type ClientOptions, ScriptedClient } from "./testing/scripted-client.ts";
import { cds, eds, lds } from "./testing/trace.ts";

interface Fixture {
  readonly source: MemorySource;
  readonly discovery: Discovery<undefined>;
  connect(options?: ClientOptions): ScriptedClient;
}

function start(options: Partial<DiscoveryOptions<string, undefined>> = {}): Fixture {
  const source = new MemorySource();
  let streams = 0;
  const discovery = createDiscovery<string, undefined>({
    source,
    admit: () => ({ kind: "admitted", audience: "anyone" }),
    uniqueTag: () => `s${++streams}`,
    ...options,
  });
  return { source, discovery, connect: (client) => new ScriptedClient(discovery, client) };
}

function text({ typeUrl, resources }: EncodedResponse): string {
  const texts = resources.map(({ name, any }) => `${name}=${Buffer.from(Any.decode(any).value).toString()}`);
  return [`${shortTypeName(typeUrl)}:`, ...texts].join(" ");
}

/** Resolves when all that was said until now has been heard: the loops are promises, and nothing else is going on. */
async function quiet(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("a stream", () => {
  test("carries an answer, and later each change", async () => {
    const { source, connect } = start();
    source.update([eds, "a", "1"]);
    await using client = connect();
    expect(text(await client.settle(eds, "a"))).toBe("EDS: a=1");
    const pushed = client.next();
    await quiet();
    source.update([eds, "a", "2"]);
    expect(text(await pushed)).toBe("EDS: a=2");
  });

  test("that is read slowly gets the newest state, not all states between", async () => {
    const { source, connect } = start();
    source.update([eds, "a", "0"]);
    await using client = connect();
    await client.settle(eds, "a");
    for (let at = 1; at <= 1_000; at++) source.update([eds, "a", String(at)]);
    expect(text(await client.next())).toBe("EDS: a=1000");
  });

  test("must begin with the node's id", async () => {
    const { connect } = start();
    await using client = connect({ nodeId: "" });
    client.ask(lds, "a");
    await expect(client.next()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  test("of a node that its principal may not speak for is refused", async () => {
    const refusal = { code: "PERMISSION_DENIED", message: "not your namespace" } as const;
    const { connect, discovery } = start({ admit: () => ({ kind: "refused", refusal }) });
    await using client = connect();
    client.ask(lds, "a");
    await expect(client.next()).rejects.toMatchObject({ code: "PERMISSION_DENIED", details: "not your namespace" });
    expect(discovery.clients()).toEqual([]);
  });

  test.each(["half-closes", "cancels"])("ends when the client %s, and frees what it held", async (how) => {
    const { source, discovery, connect } = start();
    await using client = connect();
    await client.settle(eds, "a");
    const ended = client.next();
    if (how === "cancels") client.cancel();
    else client.halfClose();
    await expect(ended).rejects.toThrow("the stream ended");
    expect([discovery.clients(), source.openViews]).toEqual([[], 0]);
  });

  test("that breaks a limit in the middle ends with RESOURCE_EXHAUSTED", async () => {
    const { connect } = start({ limits: { maxNamesPerType: 1 } });
    await using client = connect();
    await client.settle(eds, "a");
    client.ask(eds, "a", "b");
    await expect(client.next()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  });

  test("too many of one identity is refused, and of another it is not", async () => {
    const { connect } = start({ limits: { maxStreamsPerIdentity: 1 } });
    await using first = connect({ identity: "spiffe://a" });
    await first.settle(eds, "a");
    await using second = connect({ identity: "spiffe://a" });
    second.ask(eds, "a");
    await expect(second.next()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    await using third = connect({ identity: "spiffe://b" });
    expect(text(await third.settle(eds, "a"))).toBe("EDS:");
  });

  test("without an identity counts by its host, whatever its port", async () => {
    const { connect } = start({ limits: { maxStreamsPerIdentity: 1 } });
    await using first = connect({ peer: "10.0.0.1:1000" });
    await first.settle(eds, "a");
    await using second = connect({ peer: "10.0.0.1:2000" });
    second.ask(eds, "a");
    await expect(second.next()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  });

  test("of the same client finds its removed cluster still answered when it comes back", async () => {
    const { source, connect } = start();
    source.update([cds, "a", "1"]);
    {
      await using client = connect({ nodeId: "n" });
      await client.settle(cds, "a");
      await quiet();
    }
    source.update([cds, "a", undefined]);
    await using again = connect({ nodeId: "n" });
    expect(text(await again.settle(cds, "a"))).toBe("CDS: a=1");
    await using other = connect({ nodeId: "other" });
    expect(text(await other.settle(cds, "a"))).toBe("CDS:");
  });

  test("ends with UNAVAILABLE when the engine closes, and none is taken after", async () => {
    const { discovery, connect } = start();
    await using client = connect();
    await client.settle(eds, "a");
    const ended = client.next();
    discovery.close();
    await expect(ended).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await using late = connect();
    late.ask(eds, "a");
    await expect(late.next()).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
});

describe("what the control plane knows", () => {
  test("is who each client is and what it runs", async () => {
    const { source, discovery, connect } = start({ now: () => 42 });
    source.update([eds, "a", "1"]);
    await using client = connect({ nodeId: "n", userAgentName: "gRPC Go", identity: "spiffe://a", peer: "10.0.0.1:5" });
    await client.settle(eds, "a");
    await quiet();
    expect(discovery.clients()).toMatchObject([
      {
        streamId: "s1",
        node: { id: "n", userAgentName: "gRPC Go" },
        identity: "spiffe://a",
        peer: "10.0.0.1:5",
        connectedAtMs: 42,
        types: [{ typeUrl: eds, names: ["a"], state: "SYNCED" }],
      },
    ]);
  });

  test("is told as it happens", async () => {
    const { source, discovery, connect } = start();
    const events: DiscoveryEvent["kind"][] = [];
    discovery.watch((event) => events.push(event.kind));
    source.update([eds, "a", "1"]);
    {
      await using client = connect();
      const { nonce } = await client.settle(eds, "a");
      await quiet();
      source.update([eds, "a", "2"]);
      const response = await client.next();
      expect(response.nonce).not.toBe(nonce);
      client.say({
        typeUrl: eds,
        resourceNames: ["a"],
        responseNonce: response.nonce,
        errorDetail: message(Status, { code: 3, message: "no" }),
      });
      await quiet();
    }
    expect(events).toEqual(["connected", "sent", "acked", "sent", "nacked", "disconnected"]);
  });

  test("a name is acknowledged once every subscriber acknowledged what there is now", async () => {
    const { source, discovery, connect } = start();
    source.update([eds, "a", "1"]);
    await using first = connect({ nodeId: "1" });
    await using second = connect({ nodeId: "2" });
    await first.settle(eds, "a");
    await second.settle(eds, "a");
    await quiet();
    expect(discovery.isAcknowledged(eds, "a")).toBe(true);
    source.update([eds, "a", "2"]);
    expect(discovery.isAcknowledged(eds, "a")).toBe(false);
    first.ack(await first.next());
    await quiet();
    expect(discovery.isAcknowledged(eds, "a")).toBe(false);
    second.ack(await second.next());
    await quiet();
    expect(discovery.isAcknowledged(eds, "a")).toBe(true);
  });

  test("a change is delivered once everyone that it concerned has answered or left", async () => {
    const { source, discovery, connect } = start();
    source.update([eds, "a", "1"]);
    await using first = connect({ nodeId: "1" });
    await using second = connect({ nodeId: "2" });
    await using bystander = connect({ nodeId: "3" });
    for (const [client, name] of [
      [first, "a"],
      [second, "a"],
      [bystander, "b"],
    ] as const) {
      await client.settle(eds, name);
    }
    await quiet();
    source.update([eds, "a", "2"]);
    const steps: string[] = [];
    const delivered = discovery.whenDelivered(eds).then(() => steps.push("delivered"));
    first.ack(await first.next());
    await quiet();
    steps.push("one answered");
    await second.next();
    await second[Symbol.asyncDispose]();
    await delivered;
    expect(steps).toEqual(["one answered", "delivered"]);
  });

  test("a change is delivered at once where it concerns nobody", async () => {
    const { source, discovery } = start();
    source.update([eds, "a", "1"]);
    await discovery.whenDelivered(eds);
  });

  test("waiting for a delivery ends with the signal", async () => {
    const { source, discovery, connect } = start();
    source.update([eds, "a", "1"]);
    await using client = connect();
    await client.settle(eds, "a");
    await quiet();
    source.update([eds, "a", "2"]);
    const abort = new AbortController();
    const waiting = discovery.whenDelivered(eds, abort.signal);
    abort.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
  });
});
