import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Down, type Exports, type Hello, Listener_State, type Up } from "@weft/xds-api/weft/registry/v1/registry";
import type { Workload } from "../../model/workload.ts";
import { openStore, type Store } from "../../store/store.ts";
import { ManualClock } from "../../store/testing/manual-clock.ts";
import type { CredentialBounds } from "../credential-bounds.ts";
import { Outbox } from "../outbox.ts";
import { Registry, type RegistryOptions } from "../registry.ts";
import { serveSession } from "../session.ts";

/** A credential that allows any label and no address but the session's own. */
export function bounds(serviceAccount = "echo", namespace = "shop"): CredentialBounds {
  const spiffeId = `spiffe://cluster.local/ns/${namespace}/sa/${serviceAccount}`;
  return { spiffeId, namespace, serviceAccount, labels: {}, anyLabel: true, addresses: [] };
}

export function hello(incarnation: string, fields: Partial<Hello> = {}): Hello {
  return {
    incarnation,
    nodeId: `node-${incarnation}`,
    sdk: "test/1",
    address: "",
    labels: {},
    namespace: "",
    serviceAccount: "",
    displayName: incarnation,
    ...fields,
  };
}

export function exports(
  seq: number,
  port = 7070,
  interfaces: readonly string[] = [],
  state: Listener_State = Listener_State.SERVING,
): Exports {
  return {
    seq: BigInt(seq),
    listeners: [{ portName: "grpc", port, boundAddress: `0.0.0.0:${port}`, state, interfaces: [...interfaces] }],
  };
}

/** One peer of the registry: sends what a test says, keeps what comes down. */
export class Peer {
  readonly received: NonNullable<Down["message"]>[] = [];
  /** What the session ended with; undefined while it runs, "done" for a good end. */
  ended: unknown;
  readonly #up = new Outbox<Up>(10_000);
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #waiting: (() => void)[] = [];

  constructor(registry: Registry, who: CredentialBounds, peerAddress: string) {
    const context = { bounds: who, peerAddress, signal: this.#abort.signal };
    const session = serveSession(registry, this.#up, context);
    this.#running = (async () => {
      try {
        for await (const { message } of session) {
          if (message !== undefined) this.received.push(message);
          this.#wake();
        }
        this.ended = "done";
      } catch (error) {
        this.ended = error;
      }
      this.#wake();
    })();
  }

  send(message: NonNullable<Up["message"]>): this {
    this.#up.push({ message });
    return this;
  }

  hello(incarnation: string, fields: Partial<Hello> = {}): this {
    return this.send({ $case: "hello", value: hello(incarnation, fields) });
  }

  exports(...args: Parameters<typeof exports>): this {
    return this.send({ $case: "exports", value: exports(...args) });
  }

  drain(): this {
    return this.send({ $case: "drain", value: {} });
  }

  /** The first message of this case that came down, waited for. */
  async next(kind: NonNullable<Down["message"]>["$case"], count = 1): Promise<NonNullable<Down["message"]>> {
    for (;;) {
      const found = this.received.filter((message) => message.$case === kind)[count - 1];
      if (found !== undefined) return found;
      if (this.ended !== undefined) throw new Error(`the session ended before ${kind}`, { cause: this.ended });
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Half-closes, as a process that ends does. */
  async end(): Promise<void> {
    this.#up.end();
    await this.#running;
  }

  /** Is gone, as a broken connection is. */
  async cut(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** What the session threw. */
  async failure(): Promise<unknown> {
    await this.#running;
    return this.ended;
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

/** A registry on a store of its own, with a mesh that only remembers what was published. */
export class RegistryBench implements Disposable {
  readonly directory: string = mkdtempSync(join(tmpdir(), "weft-registry-"));
  readonly clock: ManualClock = new ManualClock();
  readonly options: Partial<RegistryOptions>;
  readonly errors: unknown[] = [];
  published: readonly Workload[] = [];
  /** Lets go of draining workloads. */
  release: () => void = () => undefined;
  /** Aborts when the registry waits no longer for what `release` says. */
  waitedFor: AbortSignal | undefined;
  store: Store;
  registry: Registry;
  #published: () => void = () => undefined;

  constructor(options: Partial<RegistryOptions> = {}) {
    this.options = options;
    this.store = this.#openStore();
    this.registry = this.#openRegistry();
  }

  peer(who: CredentialBounds = bounds(), peerAddress = "10.0.0.1"): Peer {
    return new Peer(this.registry, who, peerAddress);
  }

  /** A registered, serving instance. */
  async serving(incarnation: string, port = 7070, who = bounds(), interfaces: readonly string[] = []): Promise<Peer> {
    const peer = this.peer(who).hello(incarnation).exports(1, port, interfaces);
    await peer.next("published");
    return peer;
  }

  /** Resolves with the next publishing. */
  nextPublish(): Promise<void> {
    return new Promise((resolve) => {
      this.#published = resolve;
    });
  }

  /** As after kill -9: nothing was told goodbye. */
  restart(): void {
    this.store.close();
    this.published = [];
    this.store = this.#openStore();
    this.registry = this.#openRegistry();
  }

  uids(): string[] {
    return this.registry.workloads().map((workload) => `${workload.incarnation} ${workload.state}`);
  }

  [Symbol.dispose](): void {
    this.registry.close();
    this.store.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  #openStore(): Store {
    const opened = openStore({ directory: join(this.directory, "data"), clock: this.clock });
    if (opened.kind === "refused") throw new Error(opened.problem.message);
    return opened.store;
  }

  #openRegistry(): Registry {
    return new Registry({
      store: this.store,
      clock: this.clock,
      publish: async (workloads) => {
        this.published = workloads;
        this.#published();
      },
      hostsOf: ({ namespace }) => [`echo.${namespace}.svc.cluster.local`],
      resolvesAsHost: (name) => name === "echo.shop",
      released: (_workload, signal) => {
        this.waitedFor = signal;
        return new Promise((resolve) => {
          this.release = resolve;
        });
      },
      onError: (error) => this.errors.push(error),
      ...this.options,
    });
  }
}
