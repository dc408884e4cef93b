import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { Status } from "@weft/xds-api/google/rpc/status";
import { describe, expect, test } from "vitest";
import { textResource } from "./testing/memory-source.ts";
import { cds, eds, lds, rds, Trace, type TraceOptions } from "./testing/trace.ts";

function trace(options?: TraceOptions): Trace {
  return new Trace(options);
}

describe("what a client asks", () => {
  test("is followed from listener to endpoints, each answered as it is asked", () => {
    const it = trace();
    it.source.update([lds, "l", "1"], [rds, "r", "1"], [cds, "c", "1"], [eds, "c", "1"]);
    expect(it.ask(lds, "l")).toEqual(["LDS 1: l=1"]);
    expect(it.ack(lds)).toEqual([]);
    expect(it.ask(rds, "r")).toEqual(["RDS 2: r=1"]);
    expect(it.ack(rds)).toEqual([]);
    expect(it.ask(cds, "c")).toEqual(["CDS 3: c=1"]);
    expect(it.ack(cds)).toEqual([]);
    expect(it.ask(eds, "c")).toEqual(["EDS 4: c=1"]);
    expect(it.ack(eds)).toEqual([]);
  });

  test("is answered with the new names alone where types allow it, with the whole set where they don't", () => {
    const it = trace();
    it.source.update([cds, "a", "1"], [cds, "b", "1"], [eds, "a", "1"], [eds, "b", "1"]);
    it.ask(cds, "a");
    it.ask(eds, "a");
    expect(it.ask(cds, "a", "b")).toEqual(["CDS 3: a=1 b=1"]);
    expect(it.ask(eds, "a", "b")).toEqual(["EDS 4: b=1"]);
  });

  test("is answered although there is nothing of that name", () => {
    const it = trace();
    expect(it.ask(lds, "nobody")).toEqual(["LDS 1:"]);
    expect(it.ask(eds, "nobody")).toEqual(["EDS 2:"]);
    it.ack(eds);
    expect(it.change([eds, "nobody", "here now"])).toEqual(["EDS 3: nobody=here now"]);
  });

  test.each([
    ["RDS", rds],
    ["EDS", eds],
    ["LDS", lds],
    ["CDS", cds],
  ])("is answered again after it was dropped and asked again, with unchanged bytes too (%s)", (short, type) => {
    const it = trace();
    it.source.update([type, "a", "1"]);
    it.ask(type, "a");
    it.ack(type);
    expect(it.ask(type)).toEqual([]);
    expect(it.ask(type, "a")).toEqual([`${short} 2: a=1`]);
  });

  test("is answered again when the drop came with an old nonce, between a response and its ACK", () => {
    const it = trace();
    it.source.update([eds, "a", "1"]);
    it.ask(eds, "a");
    it.ack(eds);
    it.source.update([eds, "a", "2"]);
    it.state.next(0);
    it.say({ typeUrl: eds, resourceNames: [], responseNonce: "n.1" });
    expect(it.say({ typeUrl: eds, resourceNames: ["a"], responseNonce: "n.2" })).toEqual(["EDS 3: a=2"]);
  });

  test("is not answered twice for an ACK", () => {
    const it = trace();
    it.source.update([lds, "a", "1"]);
    it.ask(lds, "a");
    expect([it.ack(lds), it.ack(lds), it.ack(lds)]).toEqual([[], [], []]);
  });

  test("with a nonce of another process is a first request", () => {
    const it = trace();
    it.source.update([cds, "a", "1"]);
    expect(it.say({ typeUrl: cds, resourceNames: ["a"], responseNonce: "old.7", versionInfo: "abc" })).toEqual([
      "CDS 1: a=1",
    ]);
  });

  test("for a type that isn't served is passed over", () => {
    const it = trace();
    expect(it.say({ typeUrl: "type.googleapis.com/envoy.service.runtime.v3.Runtime", resourceNames: ["a"] })).toEqual(
      [],
    );
  });
});

describe("an empty list of names", () => {
  test("never means everything to gRPC", () => {
    const it = trace();
    it.source.update([lds, "a", "1"]);
    expect(it.ask(lds)).toEqual([]);
    expect(it.ask(lds, "a")).toEqual(["LDS 1: a=1"]);
    it.ack(lds);
    expect(it.ask(lds)).toEqual([]);
    expect(it.change([lds, "a", "2"])).toEqual([]);
  });

  test("means everything to a generic client that has not named anything yet", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([cds, "a", "1"], [cds, "b", "1"]);
    expect(it.ask(cds)).toEqual(["CDS 1: a=1 b=1"]);
    expect(it.ask(cds)).toEqual([]);
    expect(it.change([cds, "c", "1"], [cds, "a", undefined])).toEqual(["CDS 2: b=1 c=1"]);
  });

  test("follows the list also where it shrinks between a response and its ACK", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([cds, "a", "1"], [cds, "b", "1"]);
    it.ask(cds);
    it.source.update([cds, "a", undefined]);
    expect(it.ask(cds)).toEqual(["CDS 2: b=1"]);
  });

  test("means nothing once a generic client has named something", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([cds, "a", "1"], [cds, "b", "1"]);
    it.ask(cds, "a");
    expect(it.ask(cds)).toEqual([]);
    expect(it.change([cds, "b", "2"])).toEqual([]);
  });

  test("answers a wildcard subscriber even where there is nothing", () => {
    expect(trace({ acceptsWildcard: true }).ask(lds)).toEqual(["LDS 1:"]);
  });

  test("never means everything for RDS and EDS", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([eds, "a", "1"]);
    expect(it.ask(eds)).toEqual([]);
  });
});

describe("a change", () => {
  test("is sent to those who subscribe and nobody else", () => {
    const it = trace();
    it.source.update([eds, "a", "1"], [eds, "b", "1"]);
    it.ask(eds, "a");
    it.ack(eds);
    expect(it.change([eds, "b", "2"])).toEqual([]);
    expect(it.change([eds, "a", "2"])).toEqual(["EDS 2: a=2"]);
  });

  test("that is taken back before it could be sent is no change", () => {
    const it = trace();
    it.source.update([cds, "a", "1"]);
    it.ask(cds, "a");
    it.ack(cds);
    it.source.update([cds, "a", "2"]);
    expect(it.change([cds, "a", "1"])).toEqual([]);
  });

  test("waits for the answer to the response before it, and then only the newest is sent", () => {
    const it = trace();
    it.source.update([eds, "a", "1"]);
    it.ask(eds, "a");
    expect(it.change([eds, "a", "2"])).toEqual([]);
    expect(it.change([eds, "a", "3"])).toEqual([]);
    expect(it.ack(eds)).toEqual(["EDS 2: a=3"]);
  });

  test("does not wait for another type's answer", () => {
    const it = trace();
    it.source.update([cds, "a", "1"], [eds, "a", "1"]);
    it.ask(cds, "a");
    it.ask(eds, "a");
    it.ack(eds);
    expect(it.change([eds, "a", "2"])).toEqual(["EDS 3: a=2"]);
  });

  test("of several types goes clusters first, routes last", () => {
    const it = trace();
    const all = [rds, lds, eds, cds];
    it.source.update(...all.map((type) => [type, "a", "1"] as const));
    for (const type of all) it.ask(type, "a");
    for (const type of all) it.ack(type);
    const sent = it.change(...all.map((type) => [type, "a", "2"] as const));
    expect(sent).toEqual(["CDS 5: a=2", "EDS 6: a=2", "LDS 7: a=2", "RDS 8: a=2"]);
  });

  test("of routes does not overtake a wildcard subscriber's clusters that are still held back", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([cds, "a", "1"], [lds, "a", "1"]);
    it.ask(cds);
    it.ask(lds);
    it.ack(lds);
    expect(it.change([cds, "b", "1"], [lds, "a", "2"])).toEqual([]);
    expect(it.ask(cds)).toEqual(["CDS 3: a=1 b=1", "LDS 4: a=2"]);
  });

  test("too large for one message is sent in parts, each after the answer to the one before", () => {
    const it = trace({ limits: { maxResponseBytes: 400 } });
    const text = "x".repeat(200);
    it.source.update([eds, "a", text], [eds, "b", text], [eds, "c", text]);
    expect(it.ask(eds, "a", "b", "c")).toEqual([`EDS 1: a=${text}`]);
    expect(it.ack(eds)).toEqual([`EDS 2: b=${text}`]);
    expect(it.ack(eds)).toEqual([`EDS 3: c=${text}`]);
    expect(it.ack(eds)).toEqual([]);
  });
});

describe("what the source drops", () => {
  test("is deleted where it is a listener", () => {
    const it = trace();
    it.source.update([lds, "a", "1"], [lds, "b", "1"]);
    it.ask(lds, "a", "b");
    it.ack(lds);
    expect(it.change([lds, "a", undefined])).toEqual(["LDS 2: b=1"]);
  });

  test("stays answered where it is a cluster or its endpoints, until the client unsubscribes it", () => {
    const it = trace();
    it.source.update([cds, "a", "1"], [cds, "b", "1"], [eds, "a", "1"]);
    it.ask(cds, "a", "b");
    it.ask(eds, "a");
    it.ack(cds);
    it.ack(eds);
    expect(it.change([cds, "a", undefined], [eds, "a", undefined])).toEqual([]);
    expect(it.change([cds, "b", "2"])).toEqual(["CDS 3: a=1 b=2"]);
    it.ack(cds);
    expect(it.ask(cds, "b")).toEqual([]);
    expect(it.change([cds, "b", "3"])).toEqual(["CDS 4: b=3"]);
    it.ack(cds);
    expect(it.ask(cds, "a", "b")).toEqual(["CDS 5: b=3"]);
  });

  test("stays answered to a client that comes back", () => {
    const kept = textResource(cds, "a", "1");
    const it = trace({
      remembered: (type, name) => (type === cds && name === "a" ? { resource: kept, isAccepted: true } : undefined),
    });
    expect(it.ask(cds, "a")).toEqual(["CDS 1: a=1"]);
  });

  test("is gone for a wildcard subscriber, who could never unsubscribe it", () => {
    const it = trace({ acceptsWildcard: true });
    it.source.update([cds, "a", "1"], [cds, "b", "1"]);
    it.ask(cds);
    it.ask(cds);
    expect(it.change([cds, "a", undefined])).toEqual(["CDS 2: b=1"]);
  });
});

describe("a NACK", () => {
  test("is followed by silence until the content changes", () => {
    const it = trace();
    it.source.update([rds, "a", "1"]);
    it.ask(rds, "a");
    it.ack(rds);
    expect(it.change([rds, "a", "bad"])).toEqual(["RDS 2: a=bad"]);
    expect(it.nack(rds, "a: what is this?")).toEqual([]);
    expect(it.nack(rds, "a: what is this?")).toEqual([]);
    expect(it.ask(rds, "a")).toEqual([]);
    expect(it.change([rds, "a", "2"])).toEqual(["RDS 3: a=2"]);
  });

  test("of one cluster leaves its last good bytes in what follows, and the other clusters as they are", () => {
    const it = trace();
    it.source.update([cds, "good", "1"], [cds, "odd", "1"]);
    it.ask(cds, "good", "odd");
    it.ack(cds);
    expect(it.change([cds, "good", "2"], [cds, "odd", "bad"])).toEqual(["CDS 2: good=2 odd=bad"]);
    expect(it.nack(cds, 'cluster "odd": unsupported')).toEqual([]);
    expect(it.change([cds, "good", "3"])).toEqual(["CDS 3: good=3 odd=1"]);
    expect(it.ack(cds)).toEqual([]);
    expect(it.change([cds, "odd", "2"])).toEqual(["CDS 4: good=3 odd=2"]);
  });

  test("that names nothing counts against all that had changed", () => {
    const it = trace();
    it.source.update([cds, "a", "1"], [cds, "b", "1"], [cds, "c", "1"]);
    it.ask(cds, "a", "b", "c");
    it.ack(cds);
    it.change([cds, "a", "2"], [cds, "b", "2"]);
    it.nack(cds, "no");
    expect(it.change([cds, "c", "2"])).toEqual(["CDS 3: a=1 b=1 c=2"]);
  });

  test("leaves a name out where nothing was ever accepted", () => {
    const it = trace();
    it.source.update([lds, "a", "1"], [lds, "odd", "bad"]);
    it.ask(lds, "a", "odd");
    it.nack(lds, "odd: unsupported");
    expect(it.change([lds, "a", "2"])).toEqual(["LDS 2: a=2"]);
  });

  test("of bytes that an earlier stream sent and that were never answered is about them, not about what is new", () => {
    const unanswered = { resource: textResource(cds, "odd", "bad"), isAccepted: false };
    const it = trace({ remembered: (_type, name) => (name === "odd" ? unanswered : undefined) });
    it.source.update([cds, "good", "1"], [cds, "odd", "bad"]);
    expect(it.ask(cds, "good", "odd")).toEqual(["CDS 1: good=1 odd=bad"]);
    it.nack(cds, "odd: unsupported");
    expect(it.change([cds, "odd", "2"])).toEqual(["CDS 2: good=1 odd=2"]);
  });

  test("leaves nobody sure of bytes that were never answered: they are sent again", () => {
    const unanswered = { resource: textResource(eds, "a", "1"), isAccepted: false };
    const it = trace({ remembered: () => unanswered });
    it.source.update([eds, "a", "bad"]);
    it.ask(eds, "a");
    it.nack(eds, "a: no");
    expect(it.change([eds, "a", "1"])).toEqual(["EDS 2: a=1"]);
  });

  test("with another nonce than the newest response's says nothing", () => {
    const it = trace();
    it.source.update([eds, "a", "1"]);
    it.ask(eds, "a");
    it.ack(eds);
    it.change([eds, "a", "2"]);
    it.say({ typeUrl: eds, resourceNames: ["a"], responseNonce: "n.1", errorDetail: message(Status, { code: 3 }) });
    expect(it.state.status()[0]).toMatchObject({ state: "STALE", nack: undefined });
    it.ack(eds);
    expect(it.state.status()[0]).toMatchObject({ state: "SYNCED" });
  });

  test("is answered with the last good bytes when the refused name is dropped and asked again", () => {
    const it = trace();
    it.source.update([eds, "a", "1"]);
    it.ask(eds, "a");
    it.ack(eds);
    it.change([eds, "a", "bad"]);
    it.nack(eds, "a: no");
    it.ask(eds);
    expect(it.ask(eds, "a")).toEqual(["EDS 3: a=1"]);
  });
});

describe("the status of a type", () => {
  test("follows a response from STALE to SYNCED", () => {
    const it = trace();
    it.source.update([lds, "a", "1"]);
    it.nowMs = 5;
    it.ask(lds, "a");
    expect(it.state.status()).toMatchObject([{ typeUrl: lds, names: ["a"], state: "STALE", sinceMs: 5 }]);
    it.nowMs = 7;
    it.ack(lds);
    const [status] = it.state.status();
    expect(status).toMatchObject({ state: "SYNCED", sinceMs: 7, nack: undefined });
    expect(status?.ackedVersion).toBe(status?.sentVersion);
  });

  test("keeps a NACK with its words, names and nonce until the refused content is gone", () => {
    const it = trace();
    it.source.update([cds, "a", "1"]);
    it.ask(cds, "a");
    it.ack(cds);
    it.change([cds, "a", "bad"]);
    it.nowMs = 9;
    it.nack(cds, "a: unsupported");
    expect(it.state.status()[0]).toMatchObject({
      state: "NACKED",
      nack: { nonce: "n.2", reason: "a: unsupported", names: ["a"], atMs: 9 },
    });
    it.change([cds, "a", "2"]);
    expect(it.state.status()[0]).toMatchObject({ state: "STALE", nack: undefined });
  });
});

describe("versions", () => {
  test("are equal for equal content, on whichever stream", () => {
    const versions = [trace(), trace()].map((it) => {
      it.source.update([cds, "a", "1"], [cds, "b", "1"]);
      it.ask(cds, "a", "b");
      return it.state.status()[0]?.sentVersion;
    });
    expect(versions[0]).toBe(versions[1]);
  });

  test("differ for the same content under other names", () => {
    const versions = ["a", "b"].map((name) => {
      const it = trace();
      it.source.update([cds, name, "1"]);
      it.ask(cds, name);
      return it.state.status()[0]?.sentVersion;
    });
    expect(versions[0]).not.toBe(versions[1]);
  });
});

describe("limits", () => {
  test("end a stream that names too much at once", () => {
    const it = trace({ limits: { maxNamesPerType: 2 } });
    expect(it.ask(eds, "a", "b", "c")).toEqual(["RESOURCE_EXHAUSTED: more than 2 resource names in one request"]);
  });

  test("end a stream that names something endless", () => {
    const it = trace({ limits: { maxNameLength: 10 } });
    expect(it.ask(eds, "a".repeat(11))).toEqual(["RESOURCE_EXHAUSTED: a resource name longer than 10 characters"]);
  });

  test("let a burst through and then end a stream that doesn't stop", () => {
    const it = trace({ limits: { requestsPerSecond: 1, requestBurst: 2 } });
    expect([it.ask(eds, "a"), it.ack(eds)]).toEqual([["EDS 1:"], []]);
    expect(it.ack(eds)).toEqual(["RESOURCE_EXHAUSTED: more than 1 discovery requests per second"]);
    it.nowMs = 1_000;
    expect(it.ack(eds)).toEqual([]);
  });

  test("refuse a request without a type, and a node that turns into another", () => {
    const it = trace();
    expect(it.say({ typeUrl: "" })).toEqual(["INVALID_ARGUMENT: type_url is missing"]);
    expect(it.say({ typeUrl: lds, node: message(Node, { id: "other" }) })).toEqual([
      "INVALID_ARGUMENT: node.id changed in the middle of the stream",
    ]);
  });
});
