import { typeUrls } from "@weft/xds-api";
import type { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Keepsakes } from "./keepsakes.ts";
import { defaultLimits } from "./limits.ts";
import type { Resource } from "./resource-source.ts";
import type { EncodedResponse } from "./response.ts";
import { StreamState } from "./stream-state.ts";
import { MemorySource } from "./testing/memory-source.ts";
import { ModelClient } from "./testing/model-client.ts";

const types = [typeUrls.listener, typeUrls.routeConfiguration, typeUrls.cluster, typeUrls.clusterLoadAssignment];
const names = ["a", "b", "ab"];
const isBad = (text: string): boolean => text.startsWith("bad");

/** One client and the engine, with the network between them made visible: two queues that move when the test says so. */
class Conversation {
  readonly #acceptsWildcard: boolean;
  readonly source = new MemorySource();
  readonly client = new ModelClient({ refuses: isBad });
  readonly sent: EncodedResponse[] = [];
  readonly #keepsakes = new Keepsakes();
  #streams = 0;
  #state: StreamState;
  #requests: DiscoveryRequest[] = [];
  #responses: EncodedResponse[] = [];
  #older: DiscoveryRequest[] = [];

  constructor(acceptsWildcard = false) {
    this.#acceptsWildcard = acceptsWildcard;
    this.#state = this.#open();
  }

  say(request: DiscoveryRequest): void {
    this.#requests.push(request);
  }

  /** A request whose nonce is an older one: names as they are now, words about a response that is long answered. */
  sayStale(typeUrl: string): void {
    const older = this.#older.find((request) => request.typeUrl === typeUrl);
    if (older === undefined) return;
    this.#requests.push({ ...older, resourceNames: [...this.client.names(typeUrl)] });
  }

  serverReads(): boolean {
    const request = this.#requests.shift();
    if (request === undefined) return false;
    this.#older.push(request);
    expect(this.#state.request(request, 0).kind).toBe("taken");
    return true;
  }

  serverWrites(): boolean {
    const response = this.#state.next(0);
    if (response === undefined) return false;
    this.sent.push(response);
    this.#responses.push(response);
    return true;
  }

  clientReads(): boolean {
    const response = this.#responses.shift();
    if (response === undefined) return false;
    this.say(this.client.receive(response));
    return true;
  }

  restart(keepsNonce: boolean): void {
    this.#keepsakes.keep("client", this.#state.keepsakes(), 0);
    this.#state = this.#open();
    this.#requests = this.client.reconnect(keepsNonce);
    this.#responses = [];
    this.#older = [];
  }

  /** Lets everything arrive; fails where the two never stop talking. */
  settle(): void {
    for (let step = 0; step < 1_000; step++) {
      if (!this.serverReads() && !this.serverWrites() && !this.clientReads()) return;
    }
    throw new Error("the conversation does not end");
  }

  #open(): StreamState {
    this.#streams++;
    const state: StreamState = new StreamState({
      nodeId: "node",
      watch: this.source.watch("", (typeUrl, name) => state.changed(typeUrl, name)),
      acceptsWildcard: this.#acceptsWildcard,
      limits: defaultLimits,
      nonceTag: `s${this.#streams}`,
      remembered: (typeUrl, name) => this.#keepsakes.find("client", typeUrl, name, 0),
      nowMs: 0,
    });
    return state;
  }
}

type Step = (conversation: Conversation) => void;

const type = fc.constantFrom(...types);
const name = fc.constantFrom(...names);

const talk = fc.constantFrom<Step>(
  (it) => it.serverReads(),
  (it) => it.serverWrites(),
  (it) => it.clientReads(),
);
const restart = fc.boolean().map(
  (keepsNonce): Step =>
    (it) =>
      it.restart(keepsNonce),
);

function change(text: fc.Arbitrary<string | undefined>): fc.Arbitrary<Step> {
  const changes = fc.array(fc.tuple(type, name, text), { minLength: 1, maxLength: 4 });
  return changes.map(
    (made): Step =>
      (it) =>
        it.source.update(...made),
  );
}

const asks: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.tuple(type, name).map(
      ([t, n]): Step =>
        (it) =>
          it.say(it.client.subscribe(t, n)),
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(type, name).map(
      ([t, n]): Step =>
        (it) =>
          it.say(it.client.unsubscribe(t, n)),
    ),
  },
  {
    weight: 1,
    arbitrary: type.map(
      (t): Step =>
        (it) =>
          it.sayStale(t),
    ),
  },
);

function steps(text: fc.Arbitrary<string | undefined>): fc.Arbitrary<Step[]> {
  const one = fc.oneof(
    { weight: 4, arbitrary: change(text) },
    { weight: 8, arbitrary: asks },
    { weight: 1, arbitrary: restart },
    { weight: 16, arbitrary: talk },
  );
  return fc.array(one, { maxLength: 60, size: "max" });
}

const goodText = fc.constantFrom<string | undefined>("one", "two", undefined);
const anyText = fc.constantFrom<string | undefined>("one", "two", "bad one", "bad two", undefined);

test("whatever the order of events, a client ends where a fresh start ends", () => {
  fc.assert(
    fc.property(steps(goodText), (script) => {
      const it = new Conversation();
      for (const step of script) step(it);
      it.settle();
      for (const typeUrl of types) {
        for (const subscribed of it.client.names(typeUrl)) {
          const expected = it.source.get(typeUrl, subscribed);
          const text = it.client.text(typeUrl, subscribed);
          if (expected !== undefined) expect([subscribed, text]).toEqual([subscribed, textOf(expected)]);
          else if (typeUrl === typeUrls.listener) expect(text).toBeUndefined();
          // Of the other types, what the source dropped may live on until the client unsubscribes it.
        }
      }
    }),
    { numRuns: 1_500 },
  );
});

test("with refused content in between, good content still ends where a fresh start ends", () => {
  fc.assert(
    fc.property(steps(anyText), (script) => {
      const it = new Conversation();
      for (const step of script) step(it);
      it.settle();
      for (const typeUrl of types) {
        for (const subscribed of it.client.names(typeUrl)) {
          const expected = it.source.get(typeUrl, subscribed);
          if (expected === undefined || isBad(textOf(expected))) continue;
          expect([subscribed, it.client.text(typeUrl, subscribed)]).toEqual([subscribed, textOf(expected)]);
        }
      }
    }),
    { numRuns: 1_500 },
  );
});

test("a wildcard client ends with exactly what there is", () => {
  const one = fc.oneof(
    { weight: 2, arbitrary: change(goodText) },
    { weight: 1, arbitrary: restart },
    { weight: 6, arbitrary: talk },
  );
  fc.assert(
    fc.property(fc.array(one, { maxLength: 60, size: "max" }), (script) => {
      const it = new Conversation(true);
      const wildcardTypes = [typeUrls.cluster, typeUrls.listener];
      for (const typeUrl of wildcardTypes) it.say(it.client.subscribeAll(typeUrl));
      for (const step of script) step(it);
      it.settle();
      for (const typeUrl of wildcardTypes) {
        for (const each of names) {
          const expected = it.source.get(typeUrl, each);
          expect([each, it.client.text(typeUrl, each)]).toEqual([each, expected && textOf(expected)]);
        }
      }
    }),
    { numRuns: 1_000 },
  );
});

test("a client never loses a cluster that it uses, whether the source drops it or breaks it", () => {
  fc.assert(
    fc.property(steps(anyText), (script) => {
      const it = new Conversation();
      it.source.update([typeUrls.cluster, "a", "one"]);
      it.say(it.client.subscribe(typeUrls.cluster, "a"));
      it.settle();
      let used = true;
      for (const step of script) {
        step(it);
        used &&= it.client.names(typeUrls.cluster).includes("a");
        if (used) expect(it.client.text(typeUrls.cluster, "a")).toBeDefined();
      }
    }),
    { numRuns: 1_000 },
  );
});

test("refused content is not sent again because the client goes on talking", () => {
  let serial = 0;
  const unique = fc.boolean().map((isGood) => `${isGood ? "good" : "bad"} ${serial++}`);
  fc.assert(
    fc.property(steps(unique), (script) => {
      const it = new Conversation();
      for (const step of script) step(it);
      it.settle();
      const before = it.sent.length;
      it.say(it.client.subscribe(typeUrls.listener));
      it.settle();
      const again = it.sent.slice(before).flatMap(({ resources }) => resources.map(textOf));
      expect(again.filter(isBad)).toEqual([]);
    }),
    { numRuns: 500 },
  );
});

function textOf(resource: Resource): string {
  const text = Buffer.from(resource.any).toString();
  return text.slice(text.search(/(good|bad|one|two)/));
}
