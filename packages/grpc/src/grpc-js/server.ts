import * as grpc from "@grpc/grpc-js";
import type { ServerMethod } from "../rpc/server-call.ts";
import type { ServiceDefinition } from "../rpc/service-definition.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import { type ListenAddress, parseListenAddress } from "../server/listen-address.ts";
import { Listener } from "../server/listener.ts";
import { promiseMethods } from "../server/promise-method.ts";
import { listenerSettings, reportHandlerError, type ServerOptions } from "../server/server.ts";
import { forgetServer, type ListeningServer, serverName, trackServer } from "../server/server-registry.ts";
import { idOf } from "../services/channelz-ids.ts";
import { loadMetrics } from "./call-metrics.ts";
import { credentialsInterceptors, followCertificates, serverCredentials } from "./server-credentials.ts";
import { type HandlerFunction, type HandlerType, type RegisteredHandler, SurfaceMethod } from "./server-method.ts";
import { serverOptions } from "./server-options.ts";

/** `tryShutdown` waits as long as calls run: the longest that a timer can wait. */
const unboundedGraceMs = 2 ** 31 - 1;

/** The methods as they run behind one set of interceptors. */
interface MethodTable {
  readonly interceptors: readonly grpc.ServerInterceptor[];
  readonly reportsMetrics: boolean;
  readonly methods: Map<string, ServerMethod>;
}

interface Binding {
  readonly credentials: grpc.ServerCredentials;
  /** Calls it off until it is open. */
  readonly opening: AbortController;
  readonly opened: Promise<Listener>;
  /** Once `opened` resolved: what is asked of a bound address is done in the same turn. */
  listener: Listener | undefined;
  /** Stops following the credentials' certificates: there are no more handshakes. */
  readonly unfollow: () => void;
}

type ServerRef = ReturnType<grpc.Server["getChannelzRef"]>;

/**
 * grpc-js's Server on this package's transport: handlers, interceptors and credentials unchanged.
 *
 * Of the parent only the surface is used (`addService`, `removeService`, being an instance of it); it never opens a port.
 */
export class Server extends grpc.Server {
  readonly #options: ServerOptions;
  readonly #interceptors: readonly grpc.ServerInterceptor[];
  readonly #registered = new Map<string, RegisteredHandler>();
  readonly #promiseMethods = new Map<string, ServerMethod>();
  readonly #tables: MethodTable[] = [];
  /** By address as bound, with its real port. */
  readonly #bindings = new Map<string, Binding>();
  /** All that were opened: unbinding one leaves its connections, which a shutdown must still find. */
  readonly #listeners = new Set<Listener>();
  readonly #opening = new Set<AbortController>();
  readonly #observed: ListeningServer = { listeners: this.#listeners };
  readonly #isListed: boolean;
  readonly #reportsMetrics: boolean;
  #isShutDown = false;
  #isStarted = false;

  constructor(options: grpc.ServerOptions = {}) {
    // The parent keeps no account of what it doesn't run.
    super({ "grpc.enable_channelz": 0 });
    this.#options = serverOptions(options);
    this.#interceptors = options.interceptors ?? [];
    this.#isListed = options["grpc.enable_channelz"] !== 0;
    this.#reportsMetrics = Boolean(options["grpc.server_call_metric_recording"]);
  }

  /** The full names of the services added so far, of both kinds. */
  get services(): readonly string[] {
    return servicesOf([...this.#registered.keys(), ...this.#promiseMethods.keys()]);
  }

  /** Serves `definition` with promise handlers, outside of the interceptors. Throws when a method is already served. */
  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void {
    const added = promiseMethods(definition, handlers, reportHandlerError);
    for (const path of added.keys()) {
      if (this.#registered.has(path) || this.#promiseMethods.has(path))
        throw new TypeError(`${path} is served already`);
    }
    for (const [path, method] of added) {
      this.#promiseMethods.set(path, method);
      for (const { methods } of this.#tables) methods.set(path, method);
    }
  }

  override register<RequestType, ResponseType>(
    name: string,
    handler: grpc.handleUnaryCall<RequestType, ResponseType> | HandlerOf<RequestType, ResponseType>,
    serialize: (message: ResponseType) => Buffer,
    deserialize: (bytes: Buffer) => RequestType,
    type: string,
  ): boolean {
    if (this.#registered.has(name) || this.#promiseMethods.has(name)) return false;
    // The map holds handlers of every message type; each is only ever called with what its own deserializer made.
    const registered = {
      path: name,
      type: type as HandlerType,
      handler: handler as HandlerFunction,
      serialize,
      deserialize,
    };
    this.#registered.set(name, registered as RegisteredHandler);
    for (const table of this.#tables) addMethod(table, registered as RegisteredHandler);
    return true;
  }

  override unregister(name: string): boolean {
    if (!this.#registered.delete(name)) return false;
    for (const { methods } of this.#tables) methods.delete(name);
    return true;
  }

  override bindAsync(
    port: string,
    creds: grpc.ServerCredentials,
    callback: (error: Error | null, port: number) => void,
  ): void {
    if (this.#isShutDown) throw new Error("bindAsync called after shutdown");
    if (typeof port !== "string") throw new TypeError("port must be a string");
    if (!(creds instanceof grpc.ServerCredentials)) throw new TypeError("creds must be a ServerCredentials object");
    if (typeof callback !== "function") throw new TypeError("callback must be a function");
    const address = parseBindAddress(port);
    // The callback runs outside of the promise, so that what it throws is the application's own uncaught exception.
    this.#bind(port, address, creds).then(
      (bound) => process.nextTick(callback, null, bound),
      (error: unknown) => process.nextTick(callback, error, 0),
    );
  }

  override start(): void {
    if (this.#bindings.size === 0) throw new Error("server must be bound in order to start");
    if (this.#isStarted) throw new Error("server is already started");
    this.#isStarted = true;
  }

  override unbind(port: string): void {
    const binding = this.#take(port, "unbind");
    if (binding === undefined) return;
    binding.opening.abort();
    binding.unfollow();
    binding.listener?.unbind();
  }

  override drain(port: string, graceTimeMs: number): void {
    const address = parseBindAddress(port);
    if (address.kind === "tcp" && address.port === 0) throw new Error("Cannot drain port 0");
    this.#bindings.get(keyOf(address))?.listener?.drain(graceTimeMs);
  }

  override tryShutdown(callback: (error?: Error) => void): void {
    this.#close(unboundedGraceMs).then(() => process.nextTick(callback));
  }

  override forceShutdown(): void {
    void this.#close(0);
  }

  /** What channelz lists it by once it listens, unless `grpc.enable_channelz` is 0. */
  override getChannelzRef(): ServerRef {
    // The enum of kinds is not exported by grpc-js.
    return {
      kind: "server" as ServerRef["kind"],
      id: Number(idOf(this.#observed)),
      name: serverName(this.#observed),
    };
  }

  override createConnectionInjector(_credentials: grpc.ServerCredentials): grpc.ConnectionInjector {
    throw new Error(
      "createConnectionInjector is not supported by @weft/grpc: give the server an address or a unix socket",
    );
  }

  /** Of subclasses: the parent's would serve without the methods that are here. */
  protected override experimentalCreateConnectionInjectorWithChannelzRef(
    credentials: grpc.ServerCredentials,
  ): grpc.ConnectionInjector {
    return this.createConnectionInjector(credentials);
  }

  async #bind(port: string, address: ListenAddress, credentials: grpc.ServerCredentials): Promise<number> {
    const known = this.#bindings.get(keyOf(address));
    if (known !== undefined && !known.credentials._equals(credentials)) {
      throw new Error(`${port} already bound with incompatible credentials`);
    }
    const binding = known ?? this.#open(address, credentials);
    try {
      return (await binding.opened).port;
    } catch (error) {
      const { signal } = binding.opening;
      if (!signal.aborted || error !== signal.reason) throw error;
      throw new Error(`bindAsync of ${port} cancelled by ${this.#isShutDown ? "shutdown" : "unbind"}`);
    }
  }

  #open(address: ListenAddress, credentials: grpc.ServerCredentials): Binding {
    const { methods } = this.#table(credentialsInterceptors(credentials));
    const options = { ...this.#options, credentials: serverCredentials(credentials) };
    const opening = new AbortController();
    const settings = listenerSettings(options, methods, this.services);
    // Methods answer with reports from their first call on.
    const open = () => Listener.open(address, settings, opening.signal);
    const opened = (this.#reportsMetrics ? loadMetrics().then(open) : open()).then((listener) => {
      // Called off in this very turn.
      if (!opening.signal.aborted) return listener;
      void listener.close(0);
      throw opening.signal.reason;
    });
    const unfollow = followCertificates(credentials);
    const binding: Binding = { credentials, opening, opened, listener: undefined, unfollow };
    this.#opening.add(opening);
    if (address.kind !== "tcp" || address.port !== 0) this.#bindings.set(keyOf(address), binding);
    opened.then(
      (listener) => {
        this.#opening.delete(opening);
        binding.listener = listener;
        this.#listeners.add(listener);
        if (this.#isListed) trackServer(this.#observed);
        if (address.kind === "tcp") this.#bindings.set(keyOf({ ...address, port: listener.port }), binding);
      },
      () => {
        this.#opening.delete(opening);
        unfollow();
        if (this.#bindings.get(keyOf(address)) === binding) this.#bindings.delete(keyOf(address));
      },
    );
    return binding;
  }

  #take(port: string, what: string): Binding | undefined {
    const address = parseBindAddress(port);
    if (address.kind === "tcp" && address.port === 0) throw new Error(`Cannot ${what} port 0`);
    const binding = this.#bindings.get(keyOf(address));
    this.#bindings.delete(keyOf(address));
    return binding;
  }

  async #close(graceMs: number): Promise<void> {
    this.#isShutDown = true;
    for (const opening of this.#opening) opening.abort();
    for (const binding of this.#bindings.values()) binding.unfollow();
    await Promise.all([...this.#listeners].map((listener) => listener.close(graceMs)));
    forgetServer(this.#observed);
  }

  #table(credentialsOwn: readonly grpc.ServerInterceptor[]): MethodTable {
    const interceptors = [...credentialsOwn, ...this.#interceptors];
    const table: MethodTable = {
      interceptors,
      reportsMetrics: this.#reportsMetrics,
      methods: new Map(this.#promiseMethods),
    };
    for (const registered of this.#registered.values()) addMethod(table, registered);
    this.#tables.push(table);
    return table;
  }
}

/** The other three kinds of handlers, spelled out: grpc-js does not export their union. */
type HandlerOf<RequestType, ResponseType> =
  | grpc.handleClientStreamingCall<RequestType, ResponseType>
  | grpc.handleServerStreamingCall<RequestType, ResponseType>
  | grpc.handleBidiStreamingCall<RequestType, ResponseType>;

function addMethod({ methods, interceptors, reportsMetrics }: MethodTable, registered: RegisteredHandler): void {
  methods.set(registered.path, new SurfaceMethod(registered, interceptors, reportsMetrics));
}

/** What grpc-js's `bindAsync` takes, with or without a scheme. */
function parseBindAddress(port: string): ListenAddress {
  return parseListenAddress(port.replace(/^(?:dns|ipv4|ipv6):(?:\/\/[^/]*\/)?/, ""));
}

function keyOf(address: ListenAddress): string {
  return address.kind === "unix" ? `unix:${address.path}` : `${address.host} ${address.port}`;
}

function servicesOf(paths: Iterable<string>): string[] {
  return [...new Set([...paths].map((path) => path.split("/")[1] ?? ""))];
}
