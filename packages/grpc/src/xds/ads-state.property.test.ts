import { typeUrls } from "@weft/xds-api";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type AdsRequest, AdsState, type ResourceStatus } from "./ads-state.ts";
import { resourceTypes } from "./resource-type.ts";
import { any, endpoints, listener } from "./testing/resources.ts";

// Two types stand for all four: LDS deletes by omission, EDS doesn't.
const types = [typeUrls.listener, typeUrls.clusterLoadAssignment] as const;
const names = ["a", "b", "c"] as const;
type Type = (typeof types)[number];

/** What a resource says: a number is content, "bad" must be refused. */
type Content = number | "bad";

function encode(type: Type, name: string, content: Content): Any {
  if (type === typeUrls.listener) return any.listener(listener(name, content === "bad" ? "" : `routes-${content}`));
  return any.endpoints(endpoints(name, content === "bad" ? 70_000 : content + 1));
}

/** A control plane over one stream after another: what is true, what the stream's client asked, what it was told. */
class ControlPlane {
  readonly truth = new Map<Type, Map<string, Content>>(types.map((type) => [type, new Map()]));
  readonly #asked = new Map<Type, readonly string[]>();
  readonly #nonces = new Map<Type, string>();
  /** The revision of each type that the stream's client has, or said it has. */
  readonly #told = new Map<Type, number>();
  readonly #revisions = new Map<Type, number>();
  #nonce = 0;

  set(type: Type, name: string, content: Content | undefined): void {
    this.#revisions.set(type, this.#revision(type) + 1);
    if (content === undefined) this.truth.get(type)!.delete(name);
    else this.truth.get(type)!.set(name, content);
  }

  streamStarted(): void {
    this.#asked.clear();
    this.#nonces.clear();
    this.#told.clear();
  }

  /** Takes a request in; true where it has to be answered. */
  request(request: AdsRequest): boolean {
    const type = request.typeUrl as Type;
    const before = this.#asked.get(type);
    if (request.responseNonce !== (this.#nonces.get(type) ?? "")) return false;
    this.#asked.set(type, request.resourceNames);
    // As some control planes do: who has this version on a new stream is told nothing.
    if (before === undefined && request.versionInfo === `${this.#revision(type)}`) {
      this.#told.set(type, this.#revision(type));
      return false;
    }
    return before === undefined || request.resourceNames.some((name) => !before.includes(name));
  }

  hasNews(type: Type): boolean {
    return this.#asked.has(type) && this.#told.get(type) !== this.#revision(type);
  }

  /** A response with everything asked for that exists; of EDS maybe just a part, and then there is more to tell. */
  response(type: Type, part: number = names.length) {
    const asked = this.#asked.get(type);
    if (asked === undefined) return undefined;
    const resources = asked.flatMap((name) => {
      const content = this.truth.get(type)!.get(name);
      return content === undefined ? [] : [encode(type, name, content)];
    });
    this.#nonce += 1;
    this.#nonces.set(type, `${this.#nonce}`);
    const sent = type === typeUrls.listener ? resources : resources.slice(0, part);
    if (sent.length === resources.length) this.#told.set(type, this.#revision(type));
    else this.#told.delete(type);
    return {
      typeUrl: type,
      versionInfo: sent.length === resources.length ? `${this.#revision(type)}` : "part",
      nonce: `${this.#nonce}`,
      resources: sent,
    };
  }

  #revision(type: Type): number {
    return this.#revisions.get(type) ?? 0;
  }
}

class World {
  readonly plane: ControlPlane;
  readonly state: AdsState;
  readonly subscribed = new Map<Type, Set<string>>(types.map((type) => [type, new Set()]));
  #isStreaming = false;
  #now = 0;

  constructor(plane: ControlPlane) {
    this.plane = plane;
    this.state = new AdsState({
      types: resourceTypes,
      environment: { hasCertificateProvider: () => false },
      changed: () => undefined,
    });
  }

  subscribe(type: Type, name: string): void {
    this.subscribed.get(type)!.add(name);
    this.state.subscribe(type, name);
  }

  unsubscribe(type: Type, name: string): void {
    this.subscribed.get(type)!.delete(name);
    this.state.unsubscribe(type, name);
  }

  connect(): void {
    if (this.#isStreaming) return;
    this.#isStreaming = true;
    this.plane.streamStarted();
    this.state.streamStarted();
  }

  disconnect(): void {
    this.#isStreaming = false;
    this.state.streamEnded();
  }

  push(type: Type, part?: number): void {
    const response = this.#isStreaming ? this.plane.response(type, part) : undefined;
    if (response !== undefined) this.state.receive(response);
  }

  pass(ms: number): void {
    this.#now += ms;
    this.state.expire(this.#now);
  }

  /** Requests reach the control plane, which answers those it has to. */
  exchange(): void {
    for (let round = 0; round < 20; round++) {
      const due = this.state.takeRequests(this.#now).filter((request) => this.plane.request(request));
      if (due.length === 0) return;
      for (const request of due) this.push(request.typeUrl as Type);
    }
    throw new Error("the two sides never come to rest");
  }

  /** Everything true is told, and what is late is given up. */
  settle(): void {
    this.connect();
    this.exchange();
    for (const type of types) if (this.plane.hasNews(type)) this.push(type);
    this.exchange();
    this.pass(20_000);
    this.exchange();
  }
}

const action = fc.oneof(
  fc.record({
    do: fc.constantFrom("subscribe", "unsubscribe"),
    type: fc.constantFrom(...types),
    name: fc.constantFrom(...names),
  }),
  fc.record({
    do: fc.constant("set"),
    type: fc.constantFrom(...types),
    name: fc.constantFrom(...names),
    content: fc.constantFrom<Content | undefined>(1, 2, "bad", undefined),
  }),
  fc.record({ do: fc.constant("push"), type: fc.constantFrom(...types), part: fc.nat(2) }),
  fc.record({ do: fc.constantFrom("connect", "disconnect", "exchange") }),
  fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(1_000, 14_000, 16_000) }),
);
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

const steps = fc.array(action, { minLength: 10, maxLength: 80, size: "max" });

function begin(): World {
  const world = new World(new ControlPlane());
  for (const type of types) {
    world.plane.set(type, "a", 1);
    for (const name of ["a", "b"]) world.subscribe(type, name);
  }
  return world;
}

function run(world: World, step: Action): void {
  const type = "type" in step ? step.type : types[0];
  const name = "name" in step ? step.name : names[0];
  if (step.do === "subscribe") world.subscribe(type, name);
  else if (step.do === "unsubscribe") world.unsubscribe(type, name);
  else if (step.do === "set") world.plane.set(type, name, "content" in step ? step.content : undefined);
  else if (step.do === "push") world.push(type, "part" in step ? step.part : 0);
  else if (step.do === "connect") world.connect();
  else if (step.do === "disconnect") world.disconnect();
  else if (step.do === "exchange") world.exchange();
  else if (step.do === "pass") world.pass("ms" in step ? step.ms : 0);
}

/** Where an older process may end otherwise than a fresh one: last good content outlives bad news. */
function expected(fresh: ResourceStatus<unknown>, old: ResourceStatus<unknown>, type: Type): ResourceStatus<unknown> {
  if (fresh.kind === "refused" && old.kind === "present") return { ...old, problem: fresh.problem };
  // What exists no more is only told for full-state types; for the others the listener or cluster stops naming it.
  if (fresh.kind === "absent" && type === typeUrls.clusterLoadAssignment && old.kind !== "requested") return old;
  return fresh;
}

test("whatever happened before, the state ends where a fresh start ends", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const world = begin();
      for (const step of sequence) run(world, step);
      world.settle();
      world.disconnect();
      const fresh = new World(world.plane);
      for (const type of types) for (const name of world.subscribed.get(type)!) fresh.subscribe(type, name);
      fresh.settle();
      for (const type of types) {
        for (const name of world.subscribed.get(type)!) {
          const old = world.state.status(type, name);
          expect(old, `${type} ${name}`).toEqual(expected(fresh.state.status(type, name), old, type));
        }
      }
    }),
    { numRuns: 400 },
  );
});

test("whatever happens, a request names exactly what is subscribed", () => {
  fc.assert(
    fc.property(steps, (sequence) => {
      const world = new World(new ControlPlane());
      const take = world.state.takeRequests.bind(world.state);
      world.state.takeRequests = (nowMs) => {
        const requests = take(nowMs);
        for (const request of requests) {
          expect(request.resourceNames.toSorted()).toEqual([...world.subscribed.get(request.typeUrl as Type)!].sort());
        }
        return requests;
      };
      for (const step of sequence) run(world, step);
      world.settle();
    }),
    { numRuns: 200 },
  );
});
