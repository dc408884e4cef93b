import { message, shortTypeName, typeUrls } from "@weft/xds-api";
import { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { Any } from "@weft/xds-api/google/protobuf/any";
import { Status } from "@weft/xds-api/google/rpc/status";
import type { Keepsake } from "../keepsakes.ts";
import { type DiscoveryLimits, defaultLimits } from "../limits.ts";
import type { EncodedResponse } from "../response.ts";
import { StreamState } from "../stream-state.ts";
import { type Change, MemorySource } from "./memory-source.ts";

export const lds = typeUrls.listener;
export const rds = typeUrls.routeConfiguration;
export const cds = typeUrls.cluster;
export const eds = typeUrls.clusterLoadAssignment;

export interface TraceOptions {
  readonly acceptsWildcard?: boolean;
  readonly limits?: Partial<DiscoveryLimits>;
  readonly remembered?: (typeUrl: string, name: string) => Keepsake | undefined;
  readonly source?: MemorySource;
}

/** A stream state driven by hand; what it sends is written as lines such as `CDS 1: a=one b=two` (type, nonce, resources). */
export class Trace {
  readonly source: MemorySource;
  readonly state: StreamState;
  nowMs = 0;
  readonly #nonces = new Map<string, string>();
  readonly #names = new Map<string, readonly string[]>();

  constructor(options: TraceOptions = {}) {
    this.source = options.source ?? new MemorySource();
    const state: StreamState = new StreamState({
      nodeId: "node",
      watch: this.source.watch("", (typeUrl, name) => state.changed(typeUrl, name)),
      acceptsWildcard: options.acceptsWildcard ?? false,
      limits: { ...defaultLimits, ...options.limits },
      nonceTag: "n",
      remembered: options.remembered ?? (() => undefined),
      nowMs: 0,
    });
    this.state = state;
  }

  /** The client asks for these names, with the newest nonce it has seen; returns what is sent then. */
  ask(typeUrl: string, ...names: readonly string[]): string[] {
    this.#names.set(typeUrl, names);
    return this.say({ typeUrl, resourceNames: [...names], responseNonce: this.#nonces.get(typeUrl) ?? "" });
  }

  ack(typeUrl: string): string[] {
    return this.ask(typeUrl, ...(this.#names.get(typeUrl) ?? []));
  }

  nack(typeUrl: string, reason: string): string[] {
    return this.say({
      typeUrl,
      resourceNames: [...(this.#names.get(typeUrl) ?? [])],
      responseNonce: this.#nonces.get(typeUrl) ?? "",
      errorDetail: message(Status, { code: 3, message: reason }),
    });
  }

  say(request: Partial<DiscoveryRequest>): string[] {
    const outcome = this.state.request(message(DiscoveryRequest, request), this.nowMs);
    if (outcome.kind === "refused") return [`${outcome.refusal.code}: ${outcome.refusal.message}`];
    return this.drain();
  }

  /** The source changes; returns what is sent then. */
  change(...changes: readonly Change[]): string[] {
    this.source.update(...changes);
    return this.drain();
  }

  drain(): string[] {
    const lines: string[] = [];
    for (;;) {
      const response = this.state.next(this.nowMs);
      if (response === undefined) return lines;
      this.#nonces.set(response.typeUrl, response.nonce);
      lines.push(line(response));
    }
  }
}

function line({ typeUrl, nonce, resources }: EncodedResponse): string {
  const texts = resources.map(({ name, any }) => `${name}=${Buffer.from(Any.decode(any).value).toString()}`);
  return [`${shortTypeName(typeUrl)} ${nonce.split(".").at(-1)}:`, ...texts].join(" ");
}
