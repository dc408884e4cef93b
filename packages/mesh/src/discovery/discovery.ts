/**
 * The ADS engine: serves any `ResourceSource` to any number of xDS clients, and knows what each of them runs.
 *
 *   requests → StreamState (subscriptions, nonces, ACK/NACK) → responses around pre-encoded bytes
 *                   ↑ changed(type, name)
 *              ResourceSource
 */
import { randomUUID } from "node:crypto";

import { RpcError } from "@weft/grpc";
import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import type { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { ClientNode, ClientStatus, DiscoveryEvent } from "./client-status.ts";
import { DeliveryWaiters } from "./delivery.ts";
import { DiscoveryStream } from "./discovery-stream.ts";
import { Keepsakes } from "./keepsakes.ts";
import { type DiscoveryLimits, defaultLimits, type Refusal } from "./limits.ts";
import type { ResourceSource } from "./resource-source.ts";
import type { EncodedResponse } from "./response.ts";

import { StreamState } from "./stream-state.ts";

/** What the server knows of a stream before its first request. */
export interface StreamContext<Principal> {
  /** Who authentication says it is; the engine only hands it to `admit`. */
  readonly principal: Principal;
  /** The proven name (a SPIFFE id), shown in the status and counted for the limits; undefined on a plaintext port. */
  readonly identity: string | undefined;
  /** The remote address, `host:port` or a socket's path. */
  readonly peer: string;
  readonly signal: AbortSignal;
}

/** Whether a client may speak for the node it claims to be, and as whom it reads. */
export type Admission<Audience> =
  | { readonly kind: "admitted"; readonly audience: Audience }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface DiscoveryOptions<Audience, Principal> {
  readonly source: ResourceSource<Audience>;
  readonly admit: (node: Node, context: StreamContext<Principal>) => Admission<Audience>;
  readonly limits?: Partial<DiscoveryLimits>;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** A text that no other stream gets, in this process or another; without a dot. */
  readonly uniqueTag?: () => string;
}

export interface Discovery<Principal> {
  /** Serves one call of StreamAggregatedResources (see `discoveryServiceDefinition`); throws RpcError to refuse it. */
  handleStream(
    requests: AsyncIterable<DiscoveryRequest>,
    context: StreamContext<Principal>,
  ): AsyncIterable<EncodedResponse>;
  /** All open streams, oldest first. */
  clients(): ClientStatus[];
  /** Calls `listener` with everything that happens on any stream, synchronously; the returned function stops it. */
  watch(listener: (event: DiscoveryEvent) => void): () => void;
  /** Whether every client subscribed to this name acknowledged exactly what its audience's source has now. */
  isAcknowledged(typeUrl: string, name: string): boolean;
  /**
   * Resolves once every change of this type that the source had announced by now was answered (ACK or NACK) by each
   * client it concerned, or that client left. Rejects with the signal's reason.
   */
  whenDelivered(typeUrl: string, signal?: AbortSignal): Promise<void>;
  /** Ends all streams with UNAVAILABLE, so that clients look for another control plane. */
  close(): void;
}

export function createDiscovery<Audience, Principal>(
  options: DiscoveryOptions<Audience, Principal>,
): Discovery<Principal> {
  return new DiscoveryEngine(options);
}

class DiscoveryEngine<Audience, Principal> implements Discovery<Principal> {
  readonly #options: DiscoveryOptions<Audience, Principal>;
  readonly #limits: DiscoveryLimits;
  readonly #now: () => number;
  readonly #streams = new Set<DiscoveryStream>();
  readonly #streamsByPeer = new Map<string, number>();
  readonly #listeners = new Set<(event: DiscoveryEvent) => void>();
  readonly #keepsakes = new Keepsakes();
  readonly #deliveries = new DeliveryWaiters();
  #isClosed = false;

  constructor(options: DiscoveryOptions<Audience, Principal>) {
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#now = options.now ?? Date.now;
  }

  async *handleStream(
    requests: AsyncIterable<DiscoveryRequest>,
    context: StreamContext<Principal>,
  ): AsyncGenerator<EncodedResponse, void, undefined> {
    const release = this.#claimStream(context.identity ?? hostOf(context.peer));
    try {
      const rest = requests[Symbol.asyncIterator]();
      const first = await rest.next();
      if (first.done === true || context.signal.aborted) return;
      yield* this.#serve(first.value, rest, context);
    } finally {
      release();
    }
  }

  clients(): ClientStatus[] {
    return [...this.#streams].map((stream) => stream.status());
  }

  watch(listener: (event: DiscoveryEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  isAcknowledged(typeUrl: string, name: string): boolean {
    return [...this.#streams].every((stream) => stream.state.type(typeUrl)?.hasAcknowledged(name) ?? true);
  }

  whenDelivered(typeUrl: string, signal?: AbortSignal): Promise<void> {
    return this.#deliveries.wait(this.#streams, typeUrl, signal);
  }

  close(): void {
    this.#isClosed = true;
    for (const stream of this.#streams) stream.fail(closing());
  }

  async *#serve(
    first: DiscoveryRequest,
    rest: AsyncIterator<DiscoveryRequest>,
    context: StreamContext<Principal>,
  ): AsyncGenerator<EncodedResponse, void, undefined> {
    if (this.#isClosed) throw closing();
    const { node } = first;
    if (node === undefined || node.id === "") {
      throw new RpcError("INVALID_ARGUMENT", "the first request of a stream carries node.id");
    }
    const admission = this.#options.admit(node, context);
    if (admission.kind === "refused") throw toError(admission.refusal);

    const openedAtMs = this.#now();
    const tag = this.#options.uniqueTag?.() ?? randomUUID();
    const described = describe(node);
    const client = JSON.stringify([context.identity ?? hostOf(context.peer), described]);
    const watch = this.#options.source.watch(admission.audience, (typeUrl, name) => stream.changed(typeUrl, name));
    const state = new StreamState({
      nodeId: node.id,
      watch,
      acceptsWildcard: !/^(grpc|weft)/i.test(node.userAgentName),
      limits: this.#limits,
      nonceTag: tag,
      remembered: (typeUrl, name) => this.#keepsakes.find(client, typeUrl, name, this.#now()),
      nowMs: openedAtMs,
    });
    const stream: DiscoveryStream = new DiscoveryStream({
      peer: {
        streamId: tag,
        node: described,
        identity: context.identity,
        peer: context.peer,
        connectedAtMs: openedAtMs,
      },
      state,
      now: this.#now,
      signal: context.signal,
      onProgress: (kind, typeUrl) => {
        if (kind !== undefined) this.#report({ kind, typeUrl, streamId: tag });
        this.#deliveries.check(this.#streams);
      },
    });
    this.#streams.add(stream);
    this.#report({ kind: "connected", typeUrl: undefined, streamId: tag });
    try {
      yield* stream.run(first, rest, toError);
    } finally {
      this.#streams.delete(stream);
      this.#keepsakes.keep(client, state.keepsakes(), this.#now());
      watch.close();
      this.#report({ kind: "disconnected", typeUrl: undefined, streamId: tag });
      this.#deliveries.check(this.#streams);
    }
  }

  /** Counts a stream against its peer's share from before its first request; the returned function gives it back. */
  #claimStream(peer: string): () => void {
    const count = this.#streamsByPeer.get(peer) ?? 0;
    if (count >= this.#limits.maxStreamsPerIdentity) {
      throw new RpcError("RESOURCE_EXHAUSTED", `${peer} has ${count} discovery streams open already`);
    }
    this.#streamsByPeer.set(peer, count + 1);
    return () => {
      const left = (this.#streamsByPeer.get(peer) ?? 1) - 1;
      if (left === 0) this.#streamsByPeer.delete(peer);
      else this.#streamsByPeer.set(peer, left);
    };
  }

  #report(event: DiscoveryEvent): void {
    for (const listener of this.#listeners) listener(event);
  }
}

function describe(node: Node): ClientNode {
  const version = node.userAgentVersionType;
  return {
    id: node.id.slice(0, maxNodeTextLength),
    cluster: node.cluster.slice(0, maxNodeTextLength),
    userAgentName: node.userAgentName.slice(0, maxNodeTextLength),
    userAgentVersion: version?.$case === "userAgentVersion" ? version.value.slice(0, maxNodeTextLength) : "",
  };
}

const maxNodeTextLength = 512;

/** The host of `host:port`: on a plaintext port that is all there is to count by. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

function toError(refusal: Refusal): RpcError {
  return new RpcError(refusal.code, refusal.message);
}

function closing(): RpcError {
  return new RpcError("UNAVAILABLE", "the control plane is shutting down");
}
