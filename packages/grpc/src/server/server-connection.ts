import type { Duplex } from "node:stream";
import type { Clock } from "../clock.ts";
import { type ConnectionHandler, Http2Connection } from "../http2/connection.ts";
import type { HeaderList } from "../http2/headers.ts";
import type { Http2Options } from "../http2/options.ts";
import type { Http2Stream, StreamHandler } from "../http2/stream.ts";
import { ConnectionCounts } from "../rpc/call-counts.ts";
import type { MessageEncoding } from "../rpc/compression.ts";
import { type CallPeer, ServerCall, type ServerCallHost, type ServerMethod } from "../rpc/server-call.ts";
import { type ConnectionLifetime, LifetimeWatch, type LimitedConnection } from "./connection-lifetime.ts";

/** What all connections of a server share. */
export interface ConnectionSettings {
  /** Path → what serves it. */
  readonly methods: ReadonlyMap<string, ServerMethod>;
  readonly maxReceiveMessageBytes: number;
  readonly maxSendMessageBytes: number;
  /** How responses are compressed where their callers read it and their handlers don't say. */
  readonly compression: MessageEncoding;
  readonly http2: Http2Options;
  readonly lifetime: ConnectionLifetime;
  readonly clock: Clock;
}

/** Node's timers overflow beyond it. */
const longestTimerMs = 2 ** 31 - 1;

/** One accepted connection: makes a ServerCall of each stream, and knows how to end. */
export class ServerConnection implements ConnectionHandler, ServerCallHost, LimitedConnection {
  readonly connection: Http2Connection;
  readonly peer: CallPeer;
  readonly maxReceiveMessageBytes: number;
  readonly maxSendMessageBytes: number;
  readonly compression: MessageEncoding;
  readonly counts = new ConnectionCounts();
  private readonly methods: ReadonlyMap<string, ServerMethod>;
  private readonly closed: (connection: ServerConnection) => void;
  private readonly lifetime: LifetimeWatch;
  private graceTimer: NodeJS.Timeout | undefined = undefined;
  private graceEndsAtMs = Number.POSITIVE_INFINITY;
  private draining = false;

  /** `closed` is called once, when the socket is gone. */
  constructor(
    socket: Duplex,
    peer: CallPeer,
    settings: ConnectionSettings,
    closed: (connection: ServerConnection) => void,
  ) {
    this.peer = peer;
    this.maxReceiveMessageBytes = settings.maxReceiveMessageBytes;
    this.maxSendMessageBytes = settings.maxSendMessageBytes;
    this.compression = settings.compression;
    this.methods = settings.methods;
    this.closed = closed;
    this.connection = new Http2Connection(socket, "server", this, settings.http2);
    this.lifetime = new LifetimeWatch(this, settings.lifetime, settings.clock, Math.random);
  }

  get openCalls(): number {
    return this.connection.openStreams;
  }

  get startedCalls(): number {
    return this.counts.started;
  }

  methodFor(path: string): ServerMethod | undefined {
    return this.methods.get(path);
  }

  onStream(stream: Http2Stream, headers: HeaderList, endStream: boolean): StreamHandler {
    const call = new ServerCall(this, stream, headers);
    call.begin(endStream);
    return call;
  }

  onGoaway(_code: number, _debug: string): void {
    // A client that leaves opens no more streams; those it has go on.
  }

  onCapacity(): void {
    // Only clients open streams.
  }

  onPing(isIdle: boolean): boolean {
    return this.lifetime.onPing(isIdle);
  }

  onClose(): void {
    clearTimeout(this.graceTimer);
    this.lifetime.stop();
    this.closed(this);
  }

  ping(answered: () => void): void {
    this.connection.ping(answered);
  }

  /**
   * Says goodbye, lets running calls end for `graceMs` (`Infinity`: as long as they take), then cuts the connection. A later
   * call can only shorten it.
   */
  drain(graceMs: number): void {
    if (!this.draining) this.connection.goaway();
    this.draining = true;
    const endsAtMs = performance.now() + graceMs;
    if (endsAtMs >= this.graceEndsAtMs) return;
    this.graceEndsAtMs = endsAtMs;
    clearTimeout(this.graceTimer);
    if (graceMs <= 0) this.connection.destroy();
    else this.graceTimer = setTimeout(() => this.connection.destroy(), Math.min(graceMs, longestTimerMs));
  }

  destroy(error?: Error): void {
    this.connection.destroy(error);
  }
}
