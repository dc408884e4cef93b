import type { TlsClientSettings } from "../identity/credentials.ts";
import type { IdentitySource } from "../identity/material.ts";
import type { PeerVerification, SubjectAltName } from "../identity/peer-verification.ts";
import { parseSpiffeId } from "../identity/spiffe.ts";
import { type StringMatch, stringPredicate } from "../matching/string-match.ts";
import type { UpstreamTls } from "./tls-context.ts";

/** Where certificate provider instances are found. */
export interface CertificateProviders {
  certificateProvider(name: string): IdentitySource | undefined;
}

/**
 * TLS of one cluster, as the control plane wants it now.
 *
 * The object stays when only the names of the server change, so that connections do: the next handshake asks for the new
 * names (gRFC A29).
 */
class ClusterTlsSettings implements TlsClientSettings {
  readonly identity?: IdentitySource;
  readonly trust: IdentitySource;
  #verify: PeerVerification;

  constructor(identity: IdentitySource | undefined, trust: IdentitySource, names: readonly StringMatch[]) {
    if (identity !== undefined) this.identity = identity;
    this.trust = trust;
    this.#verify = this.#verification(names);
  }

  get verify(): PeerVerification {
    return this.#verify;
  }

  expect(names: readonly StringMatch[]): void {
    this.#verify = this.#verification(names);
  }

  #verification(names: readonly StringMatch[]): PeerVerification {
    return names.length === 0 ? meshPeers(this.identity ?? this.trust) : namedPeers(names);
  }
}

/** The TLS settings of a control plane's clusters: one object for a cluster, whichever channel calls it. */
export class ClusterTlsCache {
  readonly #providers: CertificateProviders;
  readonly #settings = new Map<string, WeakRef<ClusterTlsSettings>>();
  readonly #forget = new FinalizationRegistry<string>((key) => {
    if (this.#settings.get(key)?.deref() === undefined) this.#settings.delete(key);
  });

  constructor(providers: CertificateProviders) {
    this.#providers = providers;
  }

  /** How to speak TLS to `cluster`; the same object until its certificate providers change. */
  settings(cluster: string, tls: UpstreamTls): TlsClientSettings {
    const key = JSON.stringify([cluster, tls.rootsInstance, tls.identityInstance]);
    const known = this.#settings.get(key)?.deref();
    if (known !== undefined) {
      known.expect(tls.names);
      return known;
    }
    const identity = tls.identityInstance === undefined ? undefined : this.#provider(tls.identityInstance);
    const settings = new ClusterTlsSettings(identity, this.#provider(tls.rootsInstance), tls.names);
    this.#settings.set(key, new WeakRef(settings));
    this.#forget.register(settings, key);
    return settings;
  }

  #provider(instance: string): IdentitySource {
    const source = this.#providers.certificateProvider(instance);
    // Resources that name an unknown instance are refused before they get here.
    if (source === undefined) throw new Error(`certificate provider instance ${instance} is not in the bootstrap`);
    return source;
  }
}

/**
 * Peers of this process's own mesh: where it is somebody by SPIFFE, anybody of the same trust domain; where its
 * certificates are of another kind, whoever the roots vouch for (which is all that gRFC A29 asks for).
 */
export function meshPeers(own: IdentitySource): PeerVerification {
  const trustDomain = () => parseSpiffeId(own.current()?.spiffeId ?? "")?.trustDomain;
  if (own.current() !== undefined && trustDomain() === undefined) {
    return { kind: "name", description: "any name", matches: () => true };
  }
  return {
    kind: "spiffe",
    allowed: {
      kind: "matcher",
      description: "an id of this process's own trust domain",
      matches: (id) => id.trustDomain === trustDomain(),
    },
  };
}

function namedPeers(names: readonly StringMatch[]): PeerVerification {
  const ids = names.flatMap((match) => (match.kind === "exact" && !match.ignoreCase ? [match.value] : []));
  if (ids.length === names.length && ids.every((id) => parseSpiffeId(id) !== undefined)) {
    return { kind: "spiffe", allowed: { kind: "ids", ids } };
  }
  const predicates = names.map((match) => namePredicate(match));
  return {
    kind: "name",
    description: names.map(describe).join(" or "),
    matches: (name) => predicates.some((matches) => matches(name)),
  };
}

/** gRFC A29: exact matches of DNS names know wildcards; everything else compares text. */
function namePredicate(match: StringMatch): (name: SubjectAltName) => boolean {
  const matches = stringPredicate(match);
  return (name) => {
    if (name.type !== "DNS" && name.type !== "URI" && name.type !== "IP Address") return false;
    if (name.type === "DNS" && match.kind === "exact") return dnsNameMatches(name.value, match.value);
    return matches(name.value);
  };
}

/** Whether a certificate's `pattern` (`a.b`, `*.b`) is for `wanted`: a `*` stands for one whole left-most label. */
function dnsNameMatches(pattern: string, wanted: string): boolean {
  const [name, host] = [pattern.toLowerCase(), wanted.toLowerCase()];
  if (!name.startsWith("*.")) return name === host;
  const dot = host.indexOf(".");
  return dot > 0 && host.slice(dot) === name.slice(1);
}

function describe(match: StringMatch): string {
  return match.kind === "regex" ? `/${match.pattern}/` : `${match.kind} ${JSON.stringify(match.value)}`;
}
