import { isIPv4 } from "node:net";
import type { Balancer } from "../balancing/balancer.ts";
import { type Clock, systemClock } from "../clock.ts";
import { lateBuiltins } from "../late-builtins.ts";
import { RpcError } from "../rpc/error.ts";
import { Backoff } from "../subchannel/backoff.ts";
import type { HttpProxy } from "../subchannel/http-proxy.ts";
import { type HostPort, parseHostPort } from "./host-port.ts";
import type { ChannelEnvironment, Resolver, ResolverFactory, ResolverListener } from "./resolver.ts";
import { balancerFor, SingleRouter } from "./single-router.ts";
import type { Target } from "./target.ts";

/** What a name's resolver needs from the world; passed in by tests. */
export interface DnsEnvironment {
  /** The IP literals of a name, in order of preference. */
  readonly lookup: (host: string) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly random: () => number;
}

const defaultPort = 443;
/** Connections that fail in a row don't become a flood of lookups. */
const defaultMinIntervalMs = 30_000;

const machine: DnsEnvironment = {
  lookup: async (host) => (await lateBuiltins.dns.lookup(host, { all: true })).map(({ address }) => address),
  clock: systemClock,
  random: Math.random,
};

/** Makes resolvers for `dns:` targets, `host:port`; the port defaults to 443. */
export function dnsResolver(environment: DnsEnvironment = machine): ResolverFactory {
  return (target, listener, channel) => new DnsResolver(target, listener, channel, environment);
}

/**
 * Looks one name up: at once, when a connection ended (not too often), and with back-off after a failure. A name that
 * is reached through a proxy is the proxy's to look up.
 */
class DnsResolver implements Resolver {
  readonly #name: HostPort;
  readonly #proxy: HttpProxy | undefined;
  readonly #isLookedUp: boolean;
  readonly #listener: ResolverListener;
  readonly #environment: DnsEnvironment;
  readonly #balancer: Balancer;
  readonly #router: SingleRouter;
  readonly #backoff: Backoff;
  readonly #minIntervalMs: number;
  #lookedUpAt = Number.NEGATIVE_INFINITY;
  #isLookingUp = false;
  #cancelTimer: (() => void) | undefined;
  #isClosed = false;

  constructor(target: Target, listener: ResolverListener, channel: ChannelEnvironment, environment: DnsEnvironment) {
    const name = parseHostPort(target.path, defaultPort);
    if (target.authority !== "" || name === undefined) {
      const why = name === undefined ? "it is no host:port" : "asking a given DNS server is not supported";
      throw new RpcError("UNAVAILABLE", `target ${JSON.stringify(target.text)}: ${why}`);
    }
    this.#name = name;
    this.#proxy = channel.proxyFor(name.host);
    // A host with a colon was found to be v6 already.
    this.#isLookedUp = this.#proxy === undefined && !name.host.includes(":") && !isIPv4(name.host);
    this.#listener = listener;
    this.#environment = environment;
    this.#backoff = new Backoff(1000, 120_000, environment.random);
    this.#minIntervalMs = channel.options.minLookupIntervalMs ?? defaultMinIntervalMs;
    this.#balancer = balancerFor(channel, () => this.resolveNow());
    this.#router = new SingleRouter(this.#balancer);
    if (this.#isLookedUp) this.#lookUp();
    else this.#use([name.host]);
  }

  resolveNow(): void {
    if (this.#isLookingUp || this.#cancelTimer !== undefined || !this.#isLookedUp) return;
    const waitMs = this.#lookedUpAt + this.#minIntervalMs - this.#environment.clock.now();
    if (waitMs <= 0) this.#lookUp();
    else this.#lookUpLater(waitMs);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer?.();
    this.#balancer.close();
  }

  #lookUpLater(waitMs: number): void {
    this.#cancelTimer = this.#environment.clock.schedule(waitMs, () => {
      this.#cancelTimer = undefined;
      this.#lookUp();
    });
  }

  #lookUp(): void {
    this.#isLookingUp = true;
    const { lookup, clock } = this.#environment;
    lookup(this.#name.host).then(
      (addresses) => {
        this.#isLookingUp = false;
        this.#lookedUpAt = clock.now();
        if (this.#isClosed) return;
        this.#backoff.reset();
        this.#use(addresses);
      },
      (error: unknown) => {
        this.#isLookingUp = false;
        this.#lookedUpAt = clock.now();
        if (!this.#isClosed) this.#fail(error);
      },
    );
  }

  #use(addresses: readonly string[]): void {
    const { port } = this.#name;
    const proxy = this.#proxy;
    this.#balancer.updateEndpoints(addresses.map((host) => ({ addresses: [{ kind: "tcp", host, port, proxy }] })));
    this.#listener.onRouter(this.#router);
  }

  #fail(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    const details = `name resolution of ${JSON.stringify(this.#name.host)} failed: ${why}`;
    this.#lookUpLater(this.#backoff.next());
    this.#listener.onError(new RpcError("UNAVAILABLE", details, { cause: error }));
  }
}
