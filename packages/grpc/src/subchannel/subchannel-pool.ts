import { type Clock, systemClock } from "../clock.ts";
import type { PlainChannelCredentials } from "../identity/credentials.ts";
import { type Address, addressText, proxyOf } from "./address.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { Subchannel, type SubchannelEnvironment } from "./subchannel.ts";

interface Entry {
  readonly subchannel: Subchannel;
  readonly key: string;
  users: number;
}

/** Where subchannels come from and are given back. */
export interface SubchannelSource {
  /** The subchannel for `address`. Give it back with `release`, once per `acquire`. */
  acquire(address: Address, options: ConnectOptions): Subchannel;
  /** Gives it back; resolves, where that was the last use of it, when its connections have closed. */
  release(subchannel: Subchannel): Promise<void>;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * The subchannels of a process, shared between channels that reach one address the same way: same address by the same
 * proxy, and equal settings with the same credentials object.
 */
export class SubchannelPool implements SubchannelSource {
  readonly #environment: SubchannelEnvironment;
  readonly #entries = new Map<string, Entry>();
  readonly #bySubchannel = new Map<Subchannel, Entry>();
  /** Credentials are told apart by identity: each object gets a number of its own. */
  readonly #credentialsIds = new WeakMap<object, number>();
  #lastCredentialsId = 0;

  constructor(environment: Partial<SubchannelEnvironment> = {}) {
    this.#environment = { clock: environment.clock ?? systemClock, random: environment.random ?? Math.random };
  }

  get clock(): Clock {
    return this.#environment.clock;
  }

  get random(): () => number {
    return this.#environment.random;
  }

  /** How many subchannels are in use. */
  get size(): number {
    return this.#entries.size;
  }

  /** The subchannel for `address`, made if there is none. Give it back with `release`, once per `acquire`. */
  acquire(address: Address, options: ConnectOptions): Subchannel {
    const { host, port, authorization } = proxyOf(address) ?? {};
    const key = `${addressText(address)} ${this.#settingsKey(options)} ${JSON.stringify([host, port, authorization])}`;
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      entry = { subchannel: new Subchannel(address, options, this.#environment), key, users: 0 };
      this.#entries.set(key, entry);
      this.#bySubchannel.set(entry.subchannel, entry);
    }
    entry.users++;
    return entry.subchannel;
  }

  /** Gives `subchannel` back; the last one closes it. */
  release(subchannel: Subchannel): Promise<void> {
    const entry = this.#bySubchannel.get(subchannel);
    if (entry === undefined || --entry.users > 0) return Promise.resolve();
    this.#bySubchannel.delete(subchannel);
    this.#entries.delete(entry.key);
    return subchannel.close();
  }

  #settingsKey({ credentials, serverName, keepalive, ...others }: ConnectOptions): string {
    const { initialBackoffMs, maxBackoffMs, connectTimeoutMs, maxConnections, windowBytes, healthCheckService } =
      others;
    return JSON.stringify([
      this.#credentialsId(credentials),
      // The server's name matters to TLS only.
      credentials.kind === "insecure" ? undefined : serverName,
      [keepalive?.timeMs, keepalive?.timeoutMs, keepalive?.withoutCalls],
      [initialBackoffMs, maxBackoffMs, connectTimeoutMs, maxConnections, windowBytes, healthCheckService],
    ]);
  }

  #credentialsId(credentials: PlainChannelCredentials): number {
    if (credentials.kind === "insecure") return 0;
    const identity = credentials.kind === "tls" ? credentials.tls : credentials;
    let id = this.#credentialsIds.get(identity);
    if (id === undefined) {
      id = ++this.#lastCredentialsId;
      this.#credentialsIds.set(identity, id);
    }
    return id;
  }
}

/** The process's pool. */
export const sharedSubchannels = new SubchannelPool();
