// One control plane as seen from here: whoever needs a resource watches it by name; one ADS stream serves them all.
//
//   watch() ──► AdsState (what is asked, what came) ──► AdsTransport (one stream after another, with back-off)
//                    ▲──────────── responses ───────────────┘
import { message } from "@weft/xds-api";
import { DiscoveryRequest, type DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { Status as StatusMessage } from "@weft/xds-api/google/rpc/status";
import { type Clock, systemClock } from "../clock.ts";
import type { RpcError } from "../rpc/error.ts";
import { Status } from "../rpc/status.ts";
import { AdsState, type ResourceStatus } from "./ads-state.ts";
import type { AdsStream, AdsTransport } from "./ads-transport.ts";
import { type ResourceType, resourceTypes } from "./resource-type.ts";
import type { ParseEnvironment } from "./tls-context.ts";

/** How the control plane is doing. */
export type AdsConnection =
  | { readonly kind: "connecting" }
  | { readonly kind: "connected" }
  /** The last stream, or attempt at one, ended without an answer; the next is on its way. */
  | { readonly kind: "failed"; readonly error: RpcError };

/** A resource somebody needs. */
export interface Watch<T> {
  /** The same object until something changes. */
  readonly status: ResourceStatus<T>;
  /** Not needed any more: `changed` is not called again. */
  close(): void;
}

/** A resource that the control plane sent and this process refuses; what it runs instead is its last good content. */
export interface Refusal {
  readonly typeUrl: string;
  readonly reason: string;
}

export interface XdsClientOptions {
  readonly transport: AdsTransport;
  readonly environment: ParseEnvironment;
  readonly ignoreResourceDeletion?: boolean;
  readonly resourceTimeoutMs?: number;
  readonly clock?: Clock;
  /** Uniform in [0, 1): the jitter of reconnects. */
  readonly random?: () => number;
  /** Told of every NACK, for whoever keeps a log. */
  readonly onRefusal?: (refusal: Refusal) => void;
}

const firstBackoffMs = 1_000;
const longestBackoffMs = 30_000;
/** After a stream that worked: soon, but not every client of a restarted control plane in the same instant. */
const reconnectJitterMs = 200;

export class XdsClient {
  readonly #options: XdsClientOptions;
  readonly #clock: Clock;
  readonly #state: AdsState;
  /** Who watches, by type URL and name. */
  readonly #watchers = new Map<string, Set<() => void>>();
  readonly #connectionWatchers = new Set<() => void>();
  readonly #changed = new Set<string>();
  #connection: AdsConnection = { kind: "connecting" };
  #stream: AdsStream | undefined;
  #hasAnswered = false;
  #failures = 0;
  #isFlushing = false;
  #cancelReconnect: (() => void) | undefined;
  #expiry: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #isClosed = false;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const { ignoreResourceDeletion, resourceTimeoutMs } = options;
    this.#state = new AdsState({
      types: resourceTypes,
      environment: options.environment,
      ...(ignoreResourceDeletion === undefined ? {} : { ignoreResourceDeletion }),
      ...(resourceTimeoutMs === undefined ? {} : { resourceTimeoutMs }),
      changed: (typeUrl, name) => this.#changed.add(watchKey(typeUrl, name)),
    });
  }

  get connection(): AdsConnection {
    return this.#connection;
  }

  /** Calls `changed` when `connection` did; returns how to stop. */
  watchConnection(changed: () => void): () => void {
    this.#connectionWatchers.add(changed);
    return () => this.#connectionWatchers.delete(changed);
  }

  /** Follows a resource. `changed` is called after its status did, never from within `watch`; it may watch and close at will. */
  watch<T>(type: ResourceType<T>, name: string, changed: () => void): Watch<T> {
    const key = watchKey(type.typeUrl, name);
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers);
    const watcher = () => changed();
    watchers.add(watcher);
    this.#state.subscribe(type.typeUrl, name);
    this.#flushSoon();
    const state = this.#state;
    return {
      get status() {
        // The state machine keeps what `type` parsed under its own URL.
        return state.status(type.typeUrl, name) as ResourceStatus<T>;
      },
      close: () => {
        if (!watchers.delete(watcher) || watchers.size > 0) return;
        this.#watchers.delete(key);
        this.#state.unsubscribe(type.typeUrl, name);
        this.#flushSoon();
      },
    };
  }

  /** Ends the stream. Watches stay as they are and hear nothing more. */
  close(): void {
    this.#isClosed = true;
    this.#cancelReconnect?.();
    this.#expiry?.cancel();
    this.#stream?.close();
    this.#stream = undefined;
  }

  /** Sends, at the end of this turn, what the changes of this turn add up to. */
  #flushSoon(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    queueMicrotask(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#isClosed) return;
    if (this.#watchers.size === 0) {
      this.#rest();
      return;
    }
    if (this.#stream === undefined && this.#cancelReconnect === undefined) this.#open();
    for (const request of this.#state.takeRequests(this.#clock.now())) {
      const { typeUrl, versionInfo, responseNonce, problem } = request;
      const fields: Partial<DiscoveryRequest> = {
        typeUrl,
        versionInfo,
        responseNonce,
        resourceNames: [...request.resourceNames],
      };
      if (problem !== undefined) {
        fields.errorDetail = message(StatusMessage, { code: Status.INVALID_ARGUMENT, message: problem });
        this.#options.onRefusal?.({ typeUrl, reason: problem });
      }
      this.#stream?.send(message(DiscoveryRequest, fields));
    }
    this.#scheduleExpiry();
  }

  /** Nobody needs anything: an open stream would only keep the process alive. */
  #rest(): void {
    this.#cancelReconnect?.();
    this.#cancelReconnect = undefined;
    if (this.#stream === undefined) return;
    this.#stream.close();
    this.#stream = undefined;
    this.#state.streamEnded();
    this.#setConnection({ kind: "connecting" });
    this.#scheduleExpiry();
  }

  #open(): void {
    this.#hasAnswered = false;
    let stream: AdsStream | undefined;
    const isCurrent = () => !this.#isClosed && (stream === undefined || stream === this.#stream);
    stream = this.#options.transport.open(
      {
        onConnected: () => {
          if (!isCurrent()) return;
          this.#state.streamStarted();
          this.#setConnection({ kind: "connected" });
          this.#flush();
        },
        onResponse: (response) => {
          if (isCurrent()) this.#receive(response);
        },
        onEnd: (error) => {
          if (isCurrent()) this.#ended(error);
        },
      },
      { waitForReady: this.#failures > 0 },
    );
    this.#stream = stream;
  }

  #receive(response: DiscoveryResponse): void {
    if (!this.#state.receive(response)) return;
    this.#hasAnswered = true;
    this.#failures = 0;
    // The acknowledgement first, with the names as they were: what watchers ask for now must look new to the control plane.
    this.#flush();
    this.#notify();
    this.#flush();
  }

  #ended(error: RpcError): void {
    this.#stream = undefined;
    this.#state.streamEnded();
    const random = this.#options.random ?? Math.random;
    let delayMs: number;
    if (this.#hasAnswered) {
      // A stream may end at any time and for good reasons once it worked: gRFC A57.
      delayMs = random() * reconnectJitterMs;
      this.#setConnection({ kind: "connecting" });
    } else {
      delayMs = Math.min(firstBackoffMs * 1.6 ** this.#failures, longestBackoffMs) * (0.8 + 0.4 * random());
      this.#failures += 1;
      this.#setConnection({ kind: "failed", error });
    }
    this.#scheduleExpiry();
    this.#cancelReconnect = this.#clock.schedule(delayMs, () => {
      this.#cancelReconnect = undefined;
      this.#flush();
    });
  }

  #setConnection(connection: AdsConnection): void {
    this.#connection = connection;
    for (const changed of [...this.#connectionWatchers]) changed();
  }

  #scheduleExpiry(): void {
    const atMs = this.#state.nextExpiryMs();
    if (atMs === this.#expiry?.atMs) return;
    this.#expiry?.cancel();
    this.#expiry = undefined;
    if (atMs === undefined) return;
    const cancel = this.#clock.schedule(Math.max(0, atMs - this.#clock.now()), () => {
      this.#expiry = undefined;
      this.#state.expire(this.#clock.now());
      this.#notify();
      this.#flush();
    });
    this.#expiry = { atMs, cancel };
  }

  #notify(): void {
    const keys = [...this.#changed];
    this.#changed.clear();
    for (const key of keys) {
      for (const changed of [...(this.#watchers.get(key) ?? [])]) changed();
    }
  }
}

function watchKey(typeUrl: string, name: string): string {
  return `${typeUrl} ${name}`;
}
