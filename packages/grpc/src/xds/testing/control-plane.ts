// A real control plane for tests: ADS over our own server on loopback, saying exactly what the test sets.
import { message, typeUrls } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { AggregatedDiscoveryServiceDefinition } from "@weft/xds-api/envoy/service/discovery/v3/ads";
import { type DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import {
  InterfaceRegistryDefinition,
  type Listener as RegistryListener,
  type Up,
} from "@weft/xds-api/weft/registry/v1/registry";
import { Channel } from "../../channel/channel.ts";
import type { ControlPlane } from "../../control-plane/control-plane.ts";
import type { IdentitySource } from "../../identity/material.ts";
import { RpcError } from "../../rpc/error.ts";
import { Metadata } from "../../rpc/metadata.ts";
import type { ServerContext } from "../../rpc/server-call.ts";
import { createServer, type Server } from "../../server/server.ts";
import { SubchannelPool } from "../../subchannel/subchannel-pool.ts";

type UpMessage = NonNullable<Up["message"]>;

/** What goes to one stream, in order. */
class Outlet<T> {
  #queue: T[] = [];
  #wake: (() => void) | undefined;
  #isOver = false;

  push(item: T): void {
    this.#queue.push(item);
    this.#wake?.();
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (!this.#isOver || this.#queue.length > 0) {
      const items = this.#queue;
      this.#queue = [];
      yield* items;
      if (this.#queue.length === 0 && !this.#isOver) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

/** One ADS stream: what it asked for of each type. */
interface Stream {
  readonly outlet: Outlet<DiscoveryResponse>;
  readonly asked: Map<string, readonly string[]>;
  readonly nonces: Map<string, string>;
  readonly acknowledged: Map<string, string>;
}

export class TestControlPlane {
  readonly #resources = new Map<string, Map<string, Any>>();
  readonly #streams = new Set<Stream>();
  readonly #sessions = new Set<Outlet<never>>();
  #server: Server | undefined;
  #version = 0;
  #nonce = 0;
  #port = 0;
  /** Every NACK's reason. */
  readonly refusals: string[] = [];
  /** Everything that came up registry sessions. */
  readonly registered: UpMessage[] = [];
  /** Who wants to see what just came. */
  readonly #observers = new Set<() => void>();
  /** What the registry refuses, by port name. */
  readonly refusedPorts = new Map<string, { readonly code: string; readonly reason: string }>();
  /** Whether those who drain are kept waiting for `sayItIsSafeToStop`. */
  holdsSafeToStop = false;
  readonly #draining = new Set<() => void>();
  readonly #offers = new Map<object, () => void>();
  onExports: ((listeners: readonly { boundAddress: string; state: number }[]) => void) | undefined;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** The names of a type that the streams now ask for. */
  asked(typeUrl: string): string[] {
    return [...this.#streams].flatMap(({ asked }) => asked.get(typeUrl) ?? []);
  }

  /** Whether every stream has acknowledged the last response of a type. */
  acknowledged(typeUrl: string): boolean {
    return [...this.#streams].every(({ nonces, acknowledged }) => nonces.get(typeUrl) === acknowledged.get(typeUrl));
  }

  get streams(): number {
    return this.#streams.size;
  }

  async start(): Promise<void> {
    const server = createServer();
    server.add(AggregatedDiscoveryServiceDefinition, {
      streamAggregatedResources: (requests: AsyncIterable<DiscoveryRequest>, context: ServerContext) =>
        this.#serveAds(requests, context.signal),
      deltaAggregatedResources: () => {
        throw new RpcError("UNIMPLEMENTED", "state of the world only");
      },
    });
    server.add(InterfaceRegistryDefinition, {
      session: (messages: AsyncIterable<Up>, context: ServerContext) => this.#serveSession(messages, context.signal),
    });
    this.#server = server;
    this.#port = (await server.listen(`127.0.0.1:${this.#port}`)).port;
  }

  /** Takes the control plane away; `start` brings it back at the same port. */
  async stop(): Promise<void> {
    for (const { outlet } of this.#streams) outlet.end();
    for (const outlet of this.#sessions) outlet.end();
    await this.#server?.close(0);
    this.#server = undefined;
  }

  /** Says these resources from now on, beside those said before. */
  set(...resources: readonly Any[]): void {
    this.#version += 1;
    const types = new Set<string>();
    for (const resource of resources) {
      types.add(resource.typeUrl);
      this.#ofType(resource.typeUrl).set(nameOf(resource), resource);
    }
    this.#push(types);
  }

  delete(typeUrl: string, name: string): void {
    this.#version += 1;
    this.#ofType(typeUrl).delete(name);
    this.#push(new Set([typeUrl]));
  }

  /** Answers what every session exported last once more, as when a port became free. */
  reconsider(): void {
    for (const offer of [...this.#offers.values()]) offer();
  }

  sayItIsSafeToStop(): void {
    for (const say of this.#draining) say();
    this.#draining.clear();
  }

  /** Resolves once `happened`; looked at after everything that reaches the control plane. */
  async until(happened: () => boolean): Promise<void> {
    while (!happened()) {
      await new Promise<void>((resolve) => {
        const observer = () => {
          this.#observers.delete(observer);
          resolve();
        };
        this.#observers.add(observer);
      });
    }
  }

  #ofType(typeUrl: string): Map<string, Any> {
    const known = this.#resources.get(typeUrl) ?? new Map();
    this.#resources.set(typeUrl, known);
    return known;
  }

  #push(types: ReadonlySet<string>): void {
    for (const stream of this.#streams) for (const typeUrl of types) this.#respond(stream, typeUrl);
  }

  #respond(stream: Stream, typeUrl: string): void {
    const asked = stream.asked.get(typeUrl);
    if (asked === undefined) return;
    const resources = asked.flatMap((name) => this.#ofType(typeUrl).get(name) ?? []);
    this.#nonce += 1;
    stream.nonces.set(typeUrl, `${this.#nonce}`);
    const fields = { typeUrl, resources, versionInfo: `${this.#version}`, nonce: `${this.#nonce}` };
    stream.outlet.push(message(DiscoveryResponse, fields));
  }

  #serveAds(requests: AsyncIterable<DiscoveryRequest>, signal: AbortSignal): AsyncIterable<DiscoveryResponse> {
    const stream: Stream = { outlet: new Outlet(), asked: new Map(), nonces: new Map(), acknowledged: new Map() };
    this.#streams.add(stream);
    const end = () => {
      this.#streams.delete(stream);
      stream.outlet.end();
      this.#observed();
    };
    signal.addEventListener("abort", end);
    void this.#readAds(requests, stream).then(end, end);
    return stream.outlet;
  }

  async #readAds(requests: AsyncIterable<DiscoveryRequest>, stream: Stream): Promise<void> {
    for await (const request of requests) {
      const { typeUrl, responseNonce, resourceNames } = request;
      if (request.errorDetail !== undefined) this.refusals.push(request.errorDetail.message);
      stream.acknowledged.set(typeUrl, responseNonce);
      if (responseNonce === (stream.nonces.get(typeUrl) ?? "")) {
        const before = stream.asked.get(typeUrl);
        stream.asked.set(typeUrl, resourceNames);
        if (before === undefined || resourceNames.some((name) => !before.includes(name)))
          this.#respond(stream, typeUrl);
      }
      this.#observed();
    }
  }

  #serveSession(messages: AsyncIterable<Up>, signal: AbortSignal): AsyncIterable<never> {
    const outlet = new Outlet<never>();
    this.#sessions.add(outlet);
    const end = () => {
      this.#sessions.delete(outlet);
      this.#offers.delete(outlet);
      outlet.end();
    };
    signal.addEventListener("abort", end);
    const send = (down: object) => outlet.push({ message: down } as never);
    void (async () => {
      for await (const { message: up } of messages) {
        if (up === undefined) continue;
        this.registered.push(up);
        if (up.$case === "drain") {
          const say = () => send({ $case: "safeToStop", value: {} });
          if (this.holdsSafeToStop) this.#draining.add(say);
          else say();
        }
        if (up.$case === "exports") {
          const { seq, listeners } = up.value;
          this.#offers.set(outlet, () => this.#answerExports(seq, listeners, send));
          this.#answerExports(seq, listeners, send);
        }
        this.#observed();
      }
    })().then(end, end);
    return outlet;
  }

  /** A port that is another's is left out of what is accepted; any other refusal is of the whole. */
  #answerExports(seq: bigint, listeners: readonly RegistryListener[], send: (down: object) => void): void {
    const kept = listeners.filter(({ portName }) => !this.refusedPorts.has(portName));
    for (const { portName } of listeners) {
      const refused = this.refusedPorts.get(portName);
      if (refused === undefined) continue;
      send({ $case: "rejected", value: { seq, subject: portName, ...refused } });
      if (refused.code !== "WEFT0203") return;
    }
    this.onExports?.(kept);
    send({ $case: "accepted", value: { seq, spiffeId: "", hosts: [] } });
    send({ $case: "published", value: { seq } });
  }

  #observed(): void {
    for (const observer of [...this.#observers]) observer();
  }
}

/** The name of a resource, which all four kinds begin with. */
function nameOf({ value }: Any): string {
  return Buffer.from(value.subarray(2, 2 + value[1]!)).toString();
}

export interface TestPlaneOptions {
  readonly providers?: Readonly<Record<string, IdentitySource>>;
  readonly isRegistering?: boolean;
}

/** A process's view of `plane`, with everything of its own. */
export function processAt(plane: TestControlPlane, options: TestPlaneOptions = {}): ControlPlane {
  const channel = new Channel(plane.address, { initialBackoffMs: 50, maxBackoffMs: 50 }, new SubchannelPool());
  const nothing = () => undefined;
  return {
    address: plane.address,
    channel,
    callMetadata: () => new Metadata(),
    node: async () => message(Node, { id: "test-node" }),
    serverListenerTemplate: "inbound/%s",
    certificateProvider: (name) => options.providers?.[name],
    registration: options.isRegistering
      ? {
          channel,
          ready: async () => "test-node",
          incarnation: "1",
          address: "",
          labels: { app: "test" },
          displayName: "test",
          sdk: "test/0",
        }
      : undefined,
    status: () => ({ identity: undefined, problem: undefined, isRefused: false }),
    watchStatus: () => nothing,
    close: () => channel.close(),
  };
}

/** Started, and gone at the end of the test. */
export async function startControlPlane(): Promise<TestControlPlane & AsyncDisposable> {
  const plane = new TestControlPlane();
  await plane.start();
  return Object.assign(plane, { [Symbol.asyncDispose]: () => plane.stop() });
}

export const { listener: lds, routeConfiguration: rds, cluster: cds, clusterLoadAssignment: eds } = typeUrls;
