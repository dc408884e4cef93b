import {
  type CallCredentials,
  type ChannelInterface,
  type InterceptingListener,
  type Metadata,
  propagate,
  status,
} from "@grpc/grpc-js";
import type { Channel } from "../channel/channel.ts";
import type { HeaderList } from "../http2/headers.ts";
import type { CallHead } from "../rpc/call-head.ts";
import type { CallListener, ClientCall } from "../rpc/client-call.ts";
import type { MessageEncoding } from "../rpc/compression.ts";
import { statusName } from "../rpc/status.ts";
import { grpcJsMetadata, wireMetadata } from "./wire-metadata.ts";
import { mayCompress } from "./write-flags.ts";

type GrpcJsCall = ReturnType<ChannelInterface["createCall"]>;
type MessageContext = Parameters<GrpcJsCall["sendMessageWithContext"]>[0];
type StatusObject = Parameters<InterceptingListener["onReceiveStatus"]>[0];
type AuthContext = ReturnType<GrpcJsCall["getAuthContext"]>;
/** A call being served by grpc-js's server or by ours. */
export type ParentServerCall = NonNullable<Parameters<ChannelInterface["createCall"]>[3]>;

let lastCallNumber = 0;

/** Codes that a credential plugin must not hand to an application (gRFC A54). */
const notForPlugins: ReadonlySet<number> = new Set([
  status.OK,
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.ALREADY_EXISTS,
  status.FAILED_PRECONDITION,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.DATA_LOSS,
]);

/** What a call of a stub is made for. */
export interface CallTarget {
  readonly channel: Channel;
  readonly head: CallHead;
  /** The call's `:authority`. */
  readonly authority: string;
  readonly onStarted: () => void;
  readonly onEnded: () => void;
}

/** What limits a call besides its own doing. */
export interface CallLimits {
  /** In milliseconds since the epoch; infinity for none. */
  readonly deadlineMs: number;
  readonly parent: ParentServerCall | undefined;
  /** Bits of grpc-js's `propagate`. */
  readonly propagateFlags: number;
}

/**
 * One call as grpc-js's stubs and interceptors drive it, over a ClientCall.
 *
 * The real call starts when the stub's turn is over, or sooner at the half close: by then a unary call is known to have its
 * one message, and goes out as a whole. What comes back is told in ticks of its own, since listeners are the application's
 * and may throw: headers, then a message per `startRead`, then the status once nothing is left to read.
 */
export class SurfaceClientCall implements GrpcJsCall, CallListener {
  readonly #target: CallTarget;
  readonly #deadlineMs: number;
  readonly #parent: ParentServerCall | undefined;
  readonly #callNumber = ++lastCallNumber;
  #credentials: CallCredentials | undefined;
  #metadata: Metadata | undefined;
  #listener: InterceptingListener | undefined;
  #call: ClientCall | undefined;

  /** What was asked for before the call could start. */
  #unsent: Buffer[] = [];
  /** Those of them that go out as they are. */
  #unsentPlain: Set<Buffer> | undefined;
  #halfClosed = false;
  #waitsForCredentials = false;
  readonly #writeCallbacks: (() => void)[] = [];

  /** What came and isn't told yet. */
  #headers: HeaderList | undefined;
  readonly #messages: Buffer[] = [];
  #status: StatusObject | undefined;
  #toldMessages = 0;
  #readPending = false;
  #isDelivering = false;
  /** There is a status: nothing more goes out. */
  #isOver = false;
  readonly #onParentCancelled: (() => void) | undefined;

  constructor(target: CallTarget, { deadlineMs, parent, propagateFlags }: CallLimits, credentials?: CallCredentials) {
    this.#target = target;
    this.#credentials = credentials;
    const inherits = (flag: propagate) => parent !== undefined && (propagateFlags & flag) !== 0;
    this.#deadlineMs = inherits(propagate.DEADLINE) ? earliest(deadlineMs, parent!.getDeadline()) : deadlineMs;
    if (!inherits(propagate.CANCELLATION)) return;
    this.#parent = parent;
    this.#onParentCancelled = () => this.cancelWithStatus(status.CANCELLED, "Cancelled by parent call");
  }

  start(metadata: Metadata, listener: InterceptingListener): void {
    this.#metadata = metadata;
    this.#listener = listener;
    this.#target.onStarted();
    if (this.#parent?.cancelled === true) this.#onParentCancelled?.();
    else if (this.#onParentCancelled !== undefined) this.#parent?.on("cancelled", this.#onParentCancelled);
    if (this.#credentials === undefined) process.nextTick(beginCall, this);
    else void this.#addCredentials(this.#credentials, metadata);
  }

  sendMessageWithContext({ callback, flags }: MessageContext, message: Buffer): void {
    const compress = mayCompress(flags);
    if (this.#isOver || this.#call?.sendMessage(message, compress) === true) {
      if (callback !== undefined) process.nextTick(callback);
      return;
    }
    if (this.#call === undefined) {
      this.#unsent.push(message);
      if (!compress) this.#unsentPlain = (this.#unsentPlain ?? new Set()).add(message);
    }
    if (callback !== undefined) this.#writeCallbacks.push(callback);
  }

  halfClose(): void {
    this.#halfClosed = true;
    if (this.#call !== undefined) this.#call.halfClose();
    else this.begin();
  }

  startRead(): void {
    this.#readPending = true;
    if (this.#messages.length > 0) this.#schedule();
  }

  cancelWithStatus(code: status, details: string): void {
    if (this.#isOver) {
      if (this.#status?.code === status.OK) this.#replaceStatus(code, details);
      return;
    }
    if (this.#call === undefined) this.onStatus(code, details, nothing);
    else this.#call.cancel(statusName(code), details);
  }

  setCredentials(credentials: CallCredentials): void {
    this.#credentials = this.#credentials?.compose(credentials) ?? credentials;
  }

  getPeer(): string {
    return this.#call?.peer ?? this.#target.channel.target;
  }

  getCallNumber(): number {
    return this.#callNumber;
  }

  /** Null until a connection was chosen, as grpc-js says it. */
  getAuthContext(): AuthContext {
    if (this.#call?.peer === undefined) return null;
    const { tlsPeer } = this.#call;
    if (tlsPeer === undefined) return {};
    return { transportSecurityType: "ssl", sslPeerCertificate: tlsPeer.certificate.toLegacyObject() };
  }

  /** Starts the real call, unless it has started, must wait for its credentials, or is over. */
  begin(): void {
    if (this.#call !== undefined || this.#isOver || this.#waitsForCredentials || this.#metadata === undefined) return;
    const { channel, head } = this.#target;
    const unsent = this.#unsent;
    const plain = this.#unsentPlain;
    this.#unsent = [];
    const single = this.#halfClosed && unsent.length === 1 ? unsent[0] : undefined;
    const options = {
      metadata: wireMetadata(this.#metadata),
      timeoutMs: this.#deadlineMs === Number.POSITIVE_INFINITY ? undefined : this.#deadlineMs - Date.now(),
      waitForReady: this.#metadata.getOptions().waitForReady,
      compression: single !== undefined && plain !== undefined ? identity : undefined,
    };
    const call = channel.startCall(head, options, this, single);
    // It may have ended within.
    if (this.#isOver) return;
    this.#call = call;
    let isWritable = true;
    if (single === undefined) {
      for (const message of unsent) isWritable = call.sendMessage(message, plain?.has(message) !== true);
      if (this.#halfClosed) call.halfClose();
    }
    if (isWritable) this.onWritable();
  }

  // What the real call tells.

  onHeaders(headers: HeaderList): void {
    this.#headers = headers;
    this.#schedule();
  }

  onMessage(message: Buffer): void {
    this.#messages.push(message);
    if (this.#readPending) this.#schedule();
    else this.#call?.pause();
  }

  onWritable(): void {
    for (const callback of this.#writeCallbacks.splice(0)) process.nextTick(callback);
  }

  onStatus(code: number, details: string, trailers: HeaderList): void {
    this.#isOver = true;
    if (this.#listener !== undefined) this.#target.onEnded();
    this.#unsent = [];
    // A status that was made on this side (cancelled, late, connection lost) doesn't wait for a reader.
    if (trailers.length === 0) this.#messages.length = 0;
    this.#status = { code, details, metadata: grpcJsMetadata(trailers) };
    if (this.#onParentCancelled !== undefined) this.#parent?.off("cancelled", this.#onParentCancelled);
    this.onWritable();
    this.#schedule();
  }

  /** Tells the listener what may be told now. */
  deliver(): void {
    this.#isDelivering = false;
    const listener = this.#listener;
    if (listener === undefined) return;
    const headers = this.#headers;
    this.#headers = undefined;
    if (headers !== undefined) listener.onReceiveMetadata(grpcJsMetadata(headers));
    while (this.#messages.length > 0 && (this.#readPending || this.#hasSurplus())) {
      this.#readPending = false;
      this.#toldMessages++;
      const message = this.#messages.shift()!;
      if (this.#messages.length === 0) this.#call?.resume();
      listener.onReceiveMessage(message);
    }
    const ended = this.#status;
    if (ended === undefined || this.#messages.length > 0) return;
    this.#status = undefined;
    listener.onReceiveStatus(ended);
  }

  /** OK is not final before it is told: a stub that finds more messages than it expects says so by cancelling. */
  #replaceStatus(code: status, details: string): void {
    this.#messages.length = 0;
    this.#status = { code, details, metadata: grpcJsMetadata(nothing) };
    this.#schedule();
  }

  /**
   * A unary stub reads once, so that it would never learn of a second message, nor then of the status: with the call over
   * that message is told unasked. A stream's reader just has it sooner.
   */
  #hasSurplus(): boolean {
    return this.#status !== undefined && this.#toldMessages === 1;
  }

  #schedule(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    process.nextTick(deliverCall, this);
  }

  async #addCredentials(credentials: CallCredentials, metadata: Metadata): Promise<void> {
    this.#waitsForCredentials = true;
    const late = () => this.cancelWithStatus(status.DEADLINE_EXCEEDED, "Deadline exceeded, waiting for credentials");
    const timer = Number.isFinite(this.#deadlineMs) ? setTimeout(late, this.#deadlineMs - Date.now()) : undefined;
    try {
      const merged = metadata.clone();
      merged.merge(await credentials.generateMetadata(callMetadataOptions(this.#target)));
      if (merged.get("authorization").length > 1) {
        this.cancelWithStatus(status.INTERNAL, '"authorization" metadata cannot have multiple values');
      }
      this.#metadata = merged;
      this.#waitsForCredentials = false;
      this.begin();
    } catch (error) {
      const { code, details } = credentialsFailure(error);
      this.cancelWithStatus(code, details);
    } finally {
      clearTimeout(timer);
    }
  }
}

const nothing: HeaderList = [];
const identity: MessageEncoding = "identity";

function beginCall(call: SurfaceClientCall): void {
  call.begin();
}

function deliverCall(call: SurfaceClientCall): void {
  call.deliver();
}

function earliest(ownMs: number, inherited: Date | number): number {
  // Not a number: none.
  return Math.min(ownMs, +inherited || Number.POSITIVE_INFINITY);
}

function callMetadataOptions({ head, authority }: CallTarget): { method_name: string; service_url: string } {
  const host = authority.replace(/:\d+$/, "") || "localhost";
  return { method_name: head.path, service_url: `https://${host}/${head.path.split("/")[1] ?? ""}` };
}

function credentialsFailure(error: unknown): { code: status; details: string } {
  const why = error instanceof Error ? error.message : String(error);
  const details = `Failed to retrieve auth metadata with error: ${why}`;
  const code = error instanceof Error && "code" in error && typeof error.code === "number" ? error.code : undefined;
  if (code === undefined) return { code: status.UNAUTHENTICATED, details };
  return notForPlugins.has(code)
    ? { code: status.INTERNAL, details: `Invalid status from control plane: ${code} ${details}` }
    : { code, details };
}
