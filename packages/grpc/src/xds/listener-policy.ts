import { isDeepStrictEqual } from "node:util";
import type { PlainServerCredentials, TlsServerSettings } from "../identity/credentials.ts";
import type { IdentitySource } from "../identity/material.ts";
import type { RouteTableConfig } from "../routing/route-config.ts";
import type { ListeningMode, ListeningPolicy } from "../server/listening-policy.ts";
import { meshPeers } from "./cluster-tls.ts";
import type { ListenerConfig, RouteSource } from "./listener.ts";
import { listenerType, routeConfigurationType } from "./resource-type.ts";
import { serverRoutesProblem } from "./server-routes.ts";
import type { DownstreamTls } from "./tls-context.ts";
import type { Watch } from "./xds-client.ts";
import type { XdsPlane } from "./xds-plane.ts";

/** Which listener a policy follows. */
export interface PolicyTarget {
  /** The resource's name. */
  readonly listenerName: string;
  /** What the socket is bound to: an IP address and a port. */
  readonly host: string;
  readonly port: number;
  /** Holds where the listener names no security. */
  readonly fallback: PlainServerCredentials;
}

/** `template` with `%s` replaced by `address`, percent-encoded where the template is an xdstp URL (gRFC A47). */
export function serverListenerName(template: string, address: string): string {
  const name = template.startsWith("xdstp:") ? encodeURIComponent(address) : address;
  return template.replaceAll("%s", () => name);
}

/**
 * How a server treats connections, as its Listener resource says, live (gRFC A36).
 *
 * Nothing known, nothing there, something refused: connections are refused with that reason, and the resource stays
 * watched. Equal content is equal: a listener that changes where this server doesn't look changes nothing.
 */
export class ListenerPolicy implements ListeningPolicy {
  readonly #plane: XdsPlane;
  readonly #target: PolicyTarget;
  readonly #listener: Watch<ListenerConfig>;
  readonly #changed = new Set<() => void>();
  #routes: { readonly name: string; readonly watch: Watch<RouteTableConfig> } | undefined;
  #tls: { readonly config: DownstreamTls; readonly settings: TlsServerSettings; readonly stop: () => void } | undefined;
  #mode: ListeningMode = { kind: "refuse", reason: "the control plane has not answered yet" };
  #isKnown = false;
  readonly #known: Promise<void>;
  #tellKnown: () => void = () => undefined;

  constructor(plane: XdsPlane, target: PolicyTarget) {
    this.#plane = plane;
    this.#target = target;
    this.#known = new Promise((resolve) => {
      this.#tellKnown = resolve;
    });
    this.#listener = plane.client.watch(listenerType, target.listenerName, this.#update);
    this.#update();
  }

  get mode(): ListeningMode {
    return this.#mode;
  }

  /** Resolves once the control plane has said how to listen, or definitely not how. */
  get known(): Promise<void> {
    return this.#known;
  }

  watch(changed: () => void): void {
    this.#changed.add(changed);
  }

  close(): void {
    this.#changed.clear();
    this.#listener.close();
    this.#routes?.watch.close();
    this.#tls?.stop();
    this.#tellKnown();
  }

  readonly #update = (): void => {
    const mode = this.#next();
    if (mode === undefined) return;
    if (!this.#isKnown) {
      this.#isKnown = true;
      this.#tellKnown();
    }
    const before = this.#mode;
    if (before.kind === mode.kind && isDeepEqualMode(before, mode)) return;
    this.#mode = mode;
    for (const changed of [...this.#changed]) changed();
  };

  /** The mode that the resources ask for; undefined while the answer is still to come, and what was in force stays. */
  #next(): ListeningMode | undefined {
    const listener = this.#listener.status;
    const title = `listener "${this.#target.listenerName}"`;
    switch (listener.kind) {
      case "requested":
        return undefined;
      case "absent":
        return refuse(`${title} does not exist in the control plane`);
      case "refused":
        return refuse(`${title} is invalid: ${listener.problem}`);
      case "present":
        return this.#nextOf(listener.config, title);
    }
  }

  #nextOf(config: ListenerConfig, title: string): ListeningMode | undefined {
    if (config.kind === "client") return refuse(`${title} is a client's, it has an api_listener`);
    const { host, port } = config.address;
    const target = this.#target;
    // gRFC A36; port 0 stands for any.
    if (host !== target.host || (port !== target.port && port !== 0)) {
      return refuse(`${title} is for ${host} port ${port}, not for ${target.host} port ${target.port}`);
    }
    const routes = this.#routesOf(config.routes);
    if (routes === undefined) return undefined;
    if (typeof routes === "string") return refuse(`${title}: ${routes}`);
    const problem = serverRoutesProblem(routes);
    if (problem !== undefined) return refuse(`${title}: ${problem}`);
    if (config.tls === undefined) {
      const { fallback } = target;
      return fallback.kind === "tls" ? { kind: "tls", credentials: fallback.tls } : { kind: "plaintext" };
    }
    return this.#tlsMode(config.tls);
  }

  #routesOf(source: RouteSource): RouteTableConfig | string | undefined {
    if (source.kind === "inline") return source.config;
    if (this.#routes?.name !== source.name) {
      this.#routes?.watch.close();
      const watch = this.#plane.client.watch(routeConfigurationType, source.name, this.#update);
      this.#routes = { name: source.name, watch };
    }
    const routes = this.#routes.watch.status;
    const title = `route configuration "${source.name}"`;
    switch (routes.kind) {
      case "requested":
        return undefined;
      case "absent":
        return `${title} does not exist in the control plane`;
      case "refused":
        return `${title} is invalid: ${routes.problem}`;
      case "present":
        return routes.config;
    }
  }

  #tlsMode(config: DownstreamTls): ListeningMode {
    if (this.#tls === undefined || !isDeepStrictEqual(this.#tls.config, config)) {
      this.#tls?.stop();
      const identity = this.#provider(config.identityInstance);
      const roots = config.rootsInstance === undefined ? undefined : this.#provider(config.rootsInstance);
      const stops = [identity.watch(this.#update), roots?.watch(this.#update)];
      const stop = () => {
        for (const one of stops) one?.();
      };
      this.#tls = { config, settings: tlsSettings(config, identity, roots), stop };
    }
    const { settings } = this.#tls;
    // Serving before there is a certificate would greet the first clients with failed handshakes.
    if (settings.identity.current() === undefined) return refuse("this process has no certificate yet");
    return { kind: "tls", credentials: settings };
  }

  #provider(instance: string): IdentitySource {
    const source = this.#plane.controlPlane.certificateProvider(instance);
    // Resources that name an unknown instance are refused before they get here.
    if (source === undefined) throw new Error(`certificate provider instance ${instance} is not in the bootstrap`);
    return source;
  }
}

function refuse(reason: string): ListeningMode {
  return { kind: "refuse", reason };
}

function tlsSettings(
  config: DownstreamTls,
  identity: IdentitySource,
  roots: IdentitySource | undefined,
): TlsServerSettings {
  if (roots === undefined) return { identity, clients: { kind: "anonymous" } };
  const clients = {
    kind: "certificate",
    require: config.requireClientCertificate,
    trust: roots,
    verify: meshPeers(identity),
  } as const;
  return { identity, clients };
}

function isDeepEqualMode(before: ListeningMode, next: ListeningMode): boolean {
  if (before.kind === "refuse" && next.kind === "refuse") return before.reason === next.reason;
  if (before.kind === "tls" && next.kind === "tls") return before.credentials === next.credentials;
  return true;
}
