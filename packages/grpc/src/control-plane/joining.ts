import { isIPv6 } from "node:net";
import { message } from "@weft/xds-api";
import { IstioCertificateRequest, IstioCertificateServiceDefinition } from "@weft/xds-api/istio/v1/auth/ca";
import { Channel } from "../channel/channel.ts";
import { createClient } from "../channel/client.ts";
import type { HostPort } from "../channel/host-port.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { TlsClientSettings } from "../identity/credentials.ts";
import type { IdentitySource, TrustSource } from "../identity/material.ts";
import type { PeerVerification } from "../identity/peer-verification.ts";
import { RotatingSource } from "../identity/rotating-source.ts";
import { parseSpiffeId, type SpiffeId } from "../identity/spiffe.ts";
import { TlsError } from "../identity/tls-error.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import { hostPortText } from "../subchannel/address.ts";
import { fetchPinnedRoot } from "./pinned-root.ts";
import type { JoinSettings } from "./settings.ts";

/** What joining takes besides the settings; tests pass time and chance. */
export interface JoiningOptions {
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  readonly random?: () => number;
}

const callTimeoutMs = 10_000;
/** A control plane that restarts is found again soon; gRPC's own two minutes are for services. */
const backoff = { initialBackoffMs: 500, maxBackoffMs: 10_000 };
const controlPlanePath = "/ns/weft-system/sa/control-plane";

/**
 * A process's membership: its certificate, renewed for as long as it runs, and the channel that it opens with it.
 *
 *   token's root hash ─▶ root ─▶ join channel (token) ─▶ CreateCertificate ─▶ certificate
 *                                                              ▲                  │
 *                                                              └──── channel ◀────┘   renewals, ADS, registration
 *
 * The token is sent to nobody who hasn't proved to be the control plane, and on no call but that one.
 */
export class Joining {
  readonly identity: RotatingSource;
  /** Shows this process's certificate; fails until there is one. */
  readonly channel: Channel;
  readonly address: string;
  readonly #settings: JoinSettings;
  readonly #clock: Clock;
  #rootsPem: string | undefined;
  #isRefused = false;
  #joinChannel: Channel | undefined;

  constructor(settings: JoinSettings, options: JoiningOptions = {}) {
    this.#settings = settings;
    this.#clock = options.clock ?? systemClock;
    this.#rootsPem = settings.rootsPem;
    this.address = hostPortText(settings.server);
    this.identity = new RotatingSource({
      ...options,
      sign: (csrPem, ttlSeconds, signal) => this.#sign(csrPem, ttlSeconds, signal),
    });
    this.channel = this.#open(this.identity);
  }

  async close(): Promise<void> {
    this.identity.close();
    await Promise.all([this.channel.close(), this.#joinChannel?.close()]);
  }

  /** Whether the last attempt ended with a refusal that another one would end with too. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  async #sign(csrPem: string, ttlSeconds: number, signal: AbortSignal): Promise<readonly string[]> {
    this.#isRefused = false;
    try {
      return await this.#ask(csrPem, ttlSeconds, signal);
    } catch (error) {
      this.#isRefused = isRefusal(error);
      throw error;
    }
  }

  async #ask(csrPem: string, ttlSeconds: number, signal: AbortSignal): Promise<readonly string[]> {
    const { server, token } = this.#settings;
    this.#rootsPem ??= await fetchPinnedRoot({
      ...server,
      rootSha256: token.rootSha256,
      timeoutMs: callTimeoutMs,
      signal,
    });
    const request = message(IstioCertificateRequest, { csr: csrPem, validityDuration: BigInt(ttlSeconds) });
    const options = { timeoutMs: callTimeoutMs, signal };
    if (this.#hasCertificate()) {
      const client = createClient(IstioCertificateServiceDefinition, this.channel);
      return (await client.createCertificate(request, options)).certChain;
    }
    this.#joinChannel ??= this.#open(undefined);
    const client = createClient(IstioCertificateServiceDefinition, this.#joinChannel);
    const metadata = new Metadata({ authorization: `Bearer ${token.text}` });
    const answer = await client.createCertificate(request, { ...options, metadata });
    void this.#joinChannel.close();
    this.#joinChannel = undefined;
    return answer.certChain;
  }

  /** A process that slept through its certificate's life has to join again, if its token still lets it. */
  #hasCertificate(): boolean {
    const material = this.identity.current();
    return material !== undefined && material.notAfter.getTime() > this.#clock.now();
  }

  #open(identity: IdentitySource | undefined): Channel {
    const tls: TlsClientSettings = {
      ...(identity === undefined ? {} : { identity }),
      trust: this.#trust(),
      verify: controlPlaneVerification(() => parseSpiffeId(this.identity.current()?.spiffeId ?? "")),
    };
    // The control plane takes this process's address from the connection, where a proxy's would stand.
    const options = { credentials: { kind: "tls", tls }, proxy: false, ...backoff } as const;
    return new Channel(channelTarget(this.#settings.server), options);
  }

  /** The root it joined by stays trusted beside the one that certificates come with, which may be a newer one. */
  #trust(): TrustSource {
    let joined: string | undefined;
    let all: string | undefined;
    return {
      roots: () => {
        const issued = this.identity.roots();
        if (issued === undefined || issued === this.#rootsPem) return this.#rootsPem;
        // The same string each time, for contexts are cached by it.
        if (issued !== joined) all = `${this.#rootsPem ?? ""}\n${issued}`;
        joined = issued;
        return all;
      },
      watch: (changed) => this.identity.watch(changed),
    };
  }
}

/**
 * What a control plane must prove: its own SPIFFE id, never just the root, which every workload's chain ends in too.
 *
 * `own` is this process's id; until it has one, the trust domain is whichever the pinned root vouches for.
 */
export function controlPlaneVerification(own: () => SpiffeId | undefined): PeerVerification {
  return {
    kind: "spiffe",
    allowed: {
      kind: "matcher",
      description: `a control plane (spiffe://<trust domain>${controlPlanePath})`,
      matches: (id) => {
        const trustDomain = own()?.trustDomain;
        return id.path === controlPlanePath && (trustDomain === undefined || trustDomain === id.trustDomain);
      },
    },
  };
}

function isRefusal(error: unknown): boolean {
  if (error instanceof TlsError) return error.kind === "unknown-authority" || error.kind === "wrong-identity";
  return error instanceof RpcError && (error.code === "UNAUTHENTICATED" || error.code === "PERMISSION_DENIED");
}

function channelTarget(server: HostPort): string {
  if (/^[\d.]+$/.test(server.host)) return `ipv4:${hostPortText(server)}`;
  return isIPv6(server.host) ? `ipv6:${hostPortText(server)}` : `dns:///${hostPortText(server)}`;
}
