import type { ChannelEnvironment, Resolver, ResolverFactory, ResolverListener } from "../channel/resolver.ts";
import type { Target } from "../channel/target.ts";
import { insecure } from "../identity/credentials.ts";
import { RpcError } from "../rpc/error.ts";
import { ClusterTarget } from "./cluster-target.ts";
import type { ClusterView } from "./cluster-watch.ts";
import { ConfigGraph, type ConfigView, type ServedConfig } from "./config-graph.ts";
import type { XdsPlane } from "./xds-plane.ts";
import { FailingRouter, XdsRouter } from "./xds-router.ts";

/**
 * The resolver of `xds:` targets at `plane`: `xds:///name` is the listener called `name`.
 *
 * Who names no credentials means the mesh's, with plaintext where it says nothing: a policy that asks for mTLS is not
 * stepped over by leaving them out.
 */
export function xdsResolver(plane: XdsPlane, random: () => number = Math.random): ResolverFactory {
  return (target, listener, environment) => {
    const isNamed = environment.options.credentials !== undefined;
    const meant = isNamed ? environment : { ...environment, credentials: { kind: "xds" as const, fallback: insecure } };
    return new XdsResolver(plane, target, listener, meant, random);
  };
}

class XdsResolver implements Resolver {
  readonly #plane: XdsPlane;
  readonly #listener: ResolverListener;
  readonly #environment: ChannelEnvironment;
  readonly #random: () => number;
  readonly #graph: ConfigGraph;
  readonly #targets = new Map<string, ClusterTarget>();
  #config: ServedConfig | undefined;
  #failure: RpcError | undefined;
  /** Why nothing is known yet, as the channel was told. */
  #problem: RpcError | undefined;

  constructor(
    plane: XdsPlane,
    target: Target,
    listener: ResolverListener,
    environment: ChannelEnvironment,
    random: () => number,
  ) {
    if (target.authority !== "") {
      throw new RpcError(
        "UNAVAILABLE",
        `target "${target.text}": xDS authorities are not supported; write xds:///name`,
      );
    }
    if (target.path === "") throw new RpcError("UNAVAILABLE", `target "${target.text}" names nothing`);
    this.#plane = plane;
    this.#listener = listener;
    this.#environment = environment;
    this.#random = random;
    this.#graph = new ConfigGraph(plane.client, target.path, target.path, (view) => this.#apply(view));
  }

  resolveNow(): void {
    // The control plane tells of changes by itself.
  }

  close(): void {
    this.#graph.close();
    this.#closeTargets(new Map());
  }

  #apply(view: ConfigView): void {
    switch (view.kind) {
      case "waiting":
        // Without a problem too: calls wait again for a control plane that came back.
        if (view.problem !== this.#problem) this.#listener.onError(view.problem);
        this.#problem = view.problem;
        return;
      case "failed":
        // The same bad news again would only route waiting calls anew.
        if (this.#failure?.details === view.error.details) return;
        this.#failure = view.error;
        this.#config = undefined;
        this.#listener.onRouter(new FailingRouter(view.error));
        this.#closeTargets(new Map());
        return;
      case "serving":
        this.#serve(view.config, view.clusters);
    }
  }

  #serve(config: ServedConfig, clusters: ReadonlyMap<string, ClusterView>): void {
    for (const [name, cluster] of clusters) {
      let target = this.#targets.get(name);
      if (target === undefined) {
        target = new ClusterTarget(name, this.#environment, this.#plane.tls);
        this.#targets.set(name, target);
      }
      target.update(cluster);
    }
    if (config === this.#config) return;
    this.#config = config;
    this.#failure = undefined;
    this.#listener.onRouter(new XdsRouter(config, this.#targets, this.#random));
    // Calls that wait were routed anew; those under way keep their connection until they end.
    this.#closeTargets(clusters);
  }

  #closeTargets(keep: ReadonlyMap<string, unknown>): void {
    for (const [name, target] of this.#targets) {
      if (keep.has(name)) continue;
      this.#targets.delete(name);
      target.close();
    }
  }
}
