import { type Clock, systemClock } from "../clock.ts";
import type { Http2Limits } from "../http2/options.ts";
import type { PlainServerCredentials, ServerCredentials } from "../identity/credentials.ts";
import type { MessageEncoding } from "../rpc/compression.ts";
import { RpcError } from "../rpc/error.ts";
import { defaultMaxReceiveMessageBytes } from "../rpc/message-framing.ts";
import type { ServerMethod } from "../rpc/server-call.ts";
import { type ServiceDefinition, serviceNameOf } from "../rpc/service-definition.ts";
import type { ConnectionLifetime } from "./connection-lifetime.ts";
import type { ServiceHandlers } from "./handlers.ts";
import { parseListenAddress } from "./listen-address.ts";
import { type HandshakeErrorListener, Listener, type ListenerSettings } from "./listener.ts";
import { fixedListeningPolicy, type ListeningMode, type ListeningPolicyFactory } from "./listening-policy.ts";
import { type HandlerErrorListener, promiseMethods } from "./promise-method.ts";
import { forgetServer, type ListeningServer, trackServer } from "./server-registry.ts";
import { xdsListening } from "./xds-listening.ts";

/** How a server is made; everything has a safe default. */
export interface ServerOptions extends ConnectionLifetime {
  /** Default: plaintext. Not together with `listening`. */
  readonly credentials?: ServerCredentials;
  /** Who decides, per bound address and live, how connections are treated. Instead of `credentials`. */
  readonly listening?: ListeningPolicyFactory;
  /** What the address's port is called where this server is registered. Default `grpc`. */
  readonly portName?: string;
  /** A longer request message ends its call with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number;
  /** A longer response message ends its call with RESOURCE_EXHAUSTED. Default: no limit but the wire format's 4 GiB. */
  readonly maxSendMessageBytes?: number;
  /** How responses are compressed for callers that read it; a handler may say otherwise (`context.setCompression`). Default `identity`. */
  readonly compression?: MessageEncoding;
  /** Further connections are closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /** From accept to the end of the TLS handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** How long calls may still run on a connection that its policy no longer allows. Default 10 s. */
  readonly drainGraceMs?: number;
  /** Told of each client that was turned away in its TLS handshake: wrong or no certificate, no HTTP/2, too slow. */
  readonly onHandshakeError?: HandshakeErrorListener;
  /** Told of each error a handler threw that is no `RpcError`: the caller learns nothing of it but UNKNOWN. Default: stderr. */
  readonly onHandlerError?: HandlerErrorListener;
  /** Where a client's only call was answered and its next one mostly comes within 100 µs, wait for it without sleeping. Default true. */
  readonly busyPoll?: boolean;
  /** What a client's connection may ask of this server; see `Http2Limits`. */
  readonly limits?: Partial<Http2Limits>;
  /** When certificates end; tests pass their own. */
  readonly clock?: Clock;
}

/** Where a server listens. */
export interface ListeningAddress {
  /** `host:port` with the real port, or `unix:/path`. */
  readonly address: string;
  /** 0 for a unix socket. */
  readonly port: number;
}

/** A gRPC server of promise handlers. */
export interface Server extends AsyncDisposable {
  /** The full names of the services added so far. */
  readonly services: readonly string[];
  /** Serves `definition` with `handlers`. Throws when one of its methods is already served. */
  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void;
  /** Listens on `host:port` or `unix:/path` (made 0600; a stale socket file is replaced). May be called for several addresses. */
  listen(address: string): Promise<ListeningAddress>;
  /**
   * Ends what is just beginning to listen, leaves what clients know of this server (in a mesh), stops listening, lets running
   * calls end for `graceMs` (default 5 s), then cuts what is left. 0 does it all at once.
   */
  close(graceMs?: number): Promise<void>;
}

/** A server that serves nothing yet and listens nowhere. */
export function createServer(options: ServerOptions = {}): Server {
  return new PromiseServer(options);
}

/** As long as a message's length can be written. */
const longestMessage = 2 ** 32 - 1;

/** The policy of plain credentials: the same for every address, for good. */
export function credentialsPolicy(credentials: PlainServerCredentials): ListeningPolicyFactory {
  const mode: ListeningMode =
    credentials.kind === "tls" ? { kind: "tls", credentials: credentials.tls } : { kind: "plaintext" };
  return async () => fixedListeningPolicy(mode);
}

/** What a server's options and methods make of each of its listeners; `interfaces` are the services' full names. */
export function listenerSettings(
  options: ServerOptions,
  methods: ReadonlyMap<string, ServerMethod>,
  interfaces: readonly string[],
): ListenerSettings {
  return {
    methods,
    interfaces,
    listening: options.listening ?? defaultPolicy(options.credentials ?? { kind: "insecure" }),
    portName: options.portName ?? "grpc",
    maxReceiveMessageBytes: options.maxReceiveMessageBytes ?? defaultMaxReceiveMessageBytes,
    maxSendMessageBytes: options.maxSendMessageBytes ?? longestMessage,
    compression: options.compression ?? "identity",
    maxConnections: options.maxConnections ?? 10_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
    drainGraceMs: options.drainGraceMs ?? 10_000,
    lifetime: options,
    onHandshakeError: options.onHandshakeError,
    clock: options.clock ?? systemClock,
    http2: {
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.busyPoll === false ? { busyPoll: false } : {}),
    },
  };
}

function defaultPolicy(credentials: ServerCredentials): ListeningPolicyFactory {
  return credentials.kind === "xds" ? xdsListening(credentials.fallback) : credentialsPolicy(credentials);
}

class PromiseServer implements Server, ListeningServer {
  readonly services: string[] = [];
  private readonly options: ServerOptions;
  private readonly methods = new Map<string, ServerMethod>();
  readonly listeners = new Set<Listener>();
  private readonly onHandlerError: HandlerErrorListener;
  private readonly closing = new AbortController();

  constructor(options: ServerOptions) {
    if (options.listening !== undefined && options.credentials !== undefined) {
      throw new TypeError("`credentials` and `listening` both say how connections are treated: give one of them");
    }
    this.options = options;
    this.onHandlerError = options.onHandlerError ?? reportHandlerError;
  }

  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void {
    const added = promiseMethods(definition, handlers, this.onHandlerError);
    for (const path of added.keys()) if (this.methods.has(path)) throw new TypeError(`${path} is served already`);
    for (const [path, method] of added) this.methods.set(path, method);
    const name = serviceNameOf(definition);
    if (name !== undefined) this.services.push(name);
  }

  async listen(address: string): Promise<ListeningAddress> {
    this.closing.signal.throwIfAborted();
    const settings = listenerSettings(this.options, this.methods, this.services);
    const { signal } = this.closing;
    const listener = await Listener.open(parseListenAddress(address), settings, signal);
    if (signal.aborted) {
      await listener.close(0);
      throw signal.reason;
    }
    this.listeners.add(listener);
    trackServer(this);
    return { address: listener.address, port: listener.port };
  }

  async close(graceMs = 5000): Promise<void> {
    this.closing.abort(new RpcError("CANCELLED", "the server is closed"));
    await Promise.all([...this.listeners].map((listener) => listener.close(graceMs)));
    forgetServer(this);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Says on stderr what a handler threw. */
export function reportHandlerError(error: unknown, path: string): void {
  console.error(`weft: the handler of ${path} failed:`, error);
}
