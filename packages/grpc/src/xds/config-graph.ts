// From one listener's name to everything its calls need: LDS → RDS → CDS → EDS, followed as a whole.
//
//   listener ─► routes ─► virtual host ─► cluster ─► endpoints
//                              │             └─► cluster ─► endpoints …
//                              └ served once each of its clusters has endpoints or a definite failure;
//                                until then the one before it is
import { isDeepStrictEqual } from "node:util";
import { clusterNamesOf, type RouteTableConfig, type VirtualHostConfig } from "../routing/route-config.ts";
import { chooseVirtualHost } from "../routing/virtual-host.ts";
import { RpcError } from "../rpc/error.ts";
import type { ClusterView } from "./cluster-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import type { ListenerConfig, RouteSource } from "./listener.ts";
import { listenerType, routeConfigurationType } from "./resource-type.ts";
import type { Watch, XdsClient } from "./xds-client.ts";

/** What calls run by. */
export interface ServedConfig {
  /** The same object until the routes change. */
  readonly host: VirtualHostConfig;
  readonly defaultTimeoutMs: number;
}

/** What is known for one target, taken together. */
export type ConfigView =
  /** No answer yet. `problem`: the control plane can't be reached, so only calls that wait for ready should wait. */
  | { readonly kind: "waiting"; readonly problem?: RpcError }
  /** The answer is that there is nothing to call; the error names the resource. */
  | { readonly kind: "failed"; readonly error: RpcError }
  /** `clusters` has every cluster that `config` names. */
  | { readonly kind: "serving"; readonly config: ServedConfig; readonly clusters: ReadonlyMap<string, ClusterView> };

/** What the resources ask for, before clusters are looked at. */
type Wanted =
  | { readonly kind: "waiting" }
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "config"; readonly config: ServedConfig };

const waiting: Wanted = { kind: "waiting" };

/** Follows the target `authority`, whose listener is called `listenerName`. */
export class ConfigGraph {
  readonly #client: XdsClient;
  readonly #listenerName: string;
  readonly #authority: string;
  readonly #changed: (view: ConfigView) => void;
  readonly #listener: Watch<ListenerConfig>;
  #routes: { readonly name: string; readonly watch: Watch<RouteTableConfig> } | undefined;
  readonly #clusters = new Map<string, ClusterWatch>();
  #served: ServedConfig | undefined;
  readonly #stopConnection: () => void;
  #isClosed = false;

  /** `changed` is called with every new view, several events of one turn taken together; never from within the constructor. */
  constructor(client: XdsClient, listenerName: string, authority: string, changed: (view: ConfigView) => void) {
    this.#client = client;
    this.#listenerName = listenerName;
    this.#authority = authority;
    this.#changed = changed;
    this.#listener = client.watch(listenerType, listenerName, this.#updateSoon);
    this.#stopConnection = client.watchConnection(this.#updateSoon);
    this.#updateSoon();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopConnection();
    this.#listener.close();
    this.#routes?.watch.close();
    for (const watch of this.#clusters.values()) watch.close();
    this.#clusters.clear();
  }

  #isScheduled = false;

  readonly #updateSoon = (): void => {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (!this.#isClosed) this.#changed(this.#update());
    });
  };

  #update(): ConfigView {
    const wanted = this.#wanted();
    if (wanted.kind === "failed") {
      this.#served = undefined;
      this.#keepClusters(new Set());
      return { kind: "failed", error: new RpcError("UNAVAILABLE", wanted.reason) };
    }
    if (wanted.kind === "config") this.#follow(wanted.config);
    if (this.#served === undefined) {
      const { connection } = this.#client;
      if (connection.kind !== "failed") return { kind: "waiting" };
      const details = `xDS control plane can't be reached and nothing is known of "${this.#authority}" yet: ${connection.error.details}`;
      return { kind: "waiting", problem: new RpcError("UNAVAILABLE", details, { cause: connection.error }) };
    }
    const clusters = new Map<string, ClusterView>();
    for (const name of clusterNamesOf(this.#served.host)) clusters.set(name, this.#clusterView(name));
    return { kind: "serving", config: this.#served, clusters };
  }

  /** Makes `config` the served one as soon as that leaves no call worse off. */
  #follow(config: ServedConfig): void {
    const names = clusterNamesOf(config.host);
    let isSettled = true;
    for (const name of names) if (this.#clusterView(name).kind === "pending") isSettled = false;
    // With nothing served before there is nothing to protect: calls to clusters that are ready need not wait for others.
    if (isSettled || this.#served === undefined) this.#served = config;
    this.#keepClusters(new Set([...names, ...clusterNamesOf(this.#served.host)]));
  }

  #clusterView(name: string): ClusterView {
    let watch = this.#clusters.get(name);
    if (watch === undefined) {
      watch = new ClusterWatch(this.#client, name, this.#updateSoon);
      this.#clusters.set(name, watch);
    }
    return watch.view;
  }

  #keepClusters(names: ReadonlySet<string>): void {
    for (const [name, watch] of this.#clusters) {
      if (names.has(name)) continue;
      watch.close();
      this.#clusters.delete(name);
    }
  }

  #wanted(): Wanted {
    const listener = this.#listener.status;
    switch (listener.kind) {
      case "requested":
        return waiting;
      case "absent":
        return this.#failed(`listener "${this.#listenerName}" does not exist in the control plane`);
      case "refused":
        return this.#failed(`listener "${this.#listenerName}" is invalid: ${listener.problem}`);
      case "present":
        if (listener.config.kind === "server") {
          return this.#failed(`listener "${this.#listenerName}" is a server's, it has no api_listener`);
        }
        return this.#wantedRoutes(listener.config.routes, listener.config.defaultTimeoutMs);
    }
  }

  #failed(reason: string): Wanted {
    this.#watchRoutes(undefined);
    return { kind: "failed", reason };
  }

  #wantedRoutes(source: RouteSource, defaultTimeoutMs: number): Wanted {
    if (source.kind === "inline") {
      this.#watchRoutes(undefined);
      return this.#chosen(source.config, `listener "${this.#listenerName}"`, defaultTimeoutMs);
    }
    const title = `route configuration "${source.name}"`;
    const routes = this.#watchRoutes(source.name)?.status ?? { kind: "requested" };
    switch (routes.kind) {
      case "requested":
        return waiting;
      case "absent":
        return { kind: "failed", reason: `${title} does not exist in the control plane` };
      case "refused":
        return { kind: "failed", reason: `${title} is invalid: ${routes.problem}` };
      case "present":
        return this.#chosen(routes.config, title, defaultTimeoutMs);
    }
  }

  #watchRoutes(name: string | undefined): Watch<RouteTableConfig> | undefined {
    if (this.#routes?.name !== name) {
      this.#routes?.watch.close();
      this.#routes =
        name === undefined
          ? undefined
          : { name, watch: this.#client.watch(routeConfigurationType, name, this.#updateSoon) };
    }
    return this.#routes?.watch;
  }

  #chosen(table: RouteTableConfig, title: string, defaultTimeoutMs: number): Wanted {
    const host = chooseVirtualHost(table.virtualHosts, this.#authority);
    if (host === undefined) return { kind: "failed", reason: `${title} has no virtual host for "${this.#authority}"` };
    const served = this.#served;
    // Routes of other hosts in the same resource come and go: equal routes keep their compiled table.
    if (served?.defaultTimeoutMs === defaultTimeoutMs && isDeepStrictEqual(served.host, host))
      return { kind: "config", config: served };
    return { kind: "config", config: { host, defaultTimeoutMs } };
  }
}
