import { type Balancer, createBalancer } from "../balancing/balancer.ts";
import type { CallRoute, ChannelEnvironment } from "../channel/resolver.ts";
import { connectOptionsFor } from "../channel/single-router.ts";
import { RpcError } from "../rpc/error.ts";
import type { ConnectOptions } from "../subchannel/connect-options.ts";
import { endpointsInUse } from "./cluster-endpoints.ts";
import type { ClusterTlsCache } from "./cluster-tls.ts";
import type { ClusterView } from "./cluster-watch.ts";

/** One cluster as one channel calls it: its balancer, kept up to date. */
export class ClusterTarget {
  readonly name: string;
  readonly #environment: ChannelEnvironment;
  readonly #tls: ClusterTlsCache;
  #view: ClusterView | undefined;
  #connectOptions: ConnectOptions;
  #balancer: Balancer;

  constructor(name: string, environment: ChannelEnvironment, tls: ClusterTlsCache) {
    this.name = name;
    this.#environment = environment;
    this.#tls = tls;
    this.#connectOptions = connectOptionsFor(environment);
    this.#balancer = this.#createBalancer();
  }

  /** Replaced when the cluster's security changes. */
  get balancer(): Balancer {
    return this.#balancer;
  }

  update(view: ClusterView): void {
    if (view === this.#view) return;
    this.#view = view;
    if (view.kind === "pending") return;
    if (view.kind === "failed") {
      this.#fail(view.reason);
      return;
    }
    this.#secure(view);
    const endpoints = endpointsInUse(view.assignment);
    if (endpoints.length === 0) this.#fail(`cluster "${this.name}" has no endpoints that may take calls`);
    else this.#balancer.updateEndpoints(endpoints);
  }

  close(): void {
    this.#balancer.close();
  }

  /** gRFC A29: what a cluster says of TLS counts for channels with xDS credentials only; their fallback is for clusters that say nothing. */
  #secure(view: ClusterView & { kind: "ready" }): void {
    const { tls } = view.config;
    const base = connectOptionsFor(this.#environment);
    const wanted =
      this.#environment.credentials.kind === "xds" && tls !== undefined
        ? { kind: "tls" as const, tls: this.#tls.settings(this.name, tls) }
        : base.credentials;
    const current = this.#connectOptions.credentials;
    if (wanted.kind === "tls" && current.kind === "tls" ? wanted.tls === current.tls : wanted === current) return;
    this.#connectOptions = { ...base, credentials: wanted };
    const before = this.#balancer;
    this.#balancer = this.#createBalancer();
    before.close();
  }

  /** A new balancer, so that calls which wait hear this reason and no other. Open calls go on. */
  #fail(reason: string): void {
    const before = this.#balancer;
    this.#balancer = this.#createBalancer();
    this.#balancer.onResolverError(new RpcError("UNAVAILABLE", reason));
    before.close();
  }

  #createBalancer(): Balancer {
    const { pool, pickerChanged } = this.#environment;
    return createBalancer(
      { kind: "round_robin" },
      { pool, connectOptions: this.#connectOptions, onPicker: pickerChanged },
    );
  }
}

/** A route's way to a cluster; always leads to the cluster's current balancer. */
export class ClusterRoute implements CallRoute {
  readonly timeoutMs: number;
  readonly #target: ClusterTarget;

  constructor(target: ClusterTarget, timeoutMs: number) {
    this.#target = target;
    this.timeoutMs = timeoutMs;
  }

  get balancer(): Balancer {
    return this.#target.balancer;
  }
}
