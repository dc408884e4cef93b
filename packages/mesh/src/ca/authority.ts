import { isIP } from "node:net";
import type { Clock } from "@weft/grpc/platform";
import { boundsExtension } from "../authn/bounds-extension.ts";
import type { Bounds } from "../authn/identity.ts";
import {
  certificatePem,
  createIntermediate,
  createRoot,
  issueLeaf,
  type KeyedCertificate,
  type Validity,
} from "./certificates.ts";
import { filesOf, readIntermediate, readRoot } from "./kept-authority.ts";
import { KeyDirectory } from "./key-files.ts";
import type { SigningRequest } from "./signing-request.ts";

const dayMs = 24 * 3_600_000;
const rootMs = 3650 * dayMs;
const intermediateMs = 365 * dayMs;
const ownMs = 30 * dayMs;
/** After a renewal that failed; a third of the old one's life is left for it. */
const retryMs = 3_600_000;
/** Clocks differ: a certificate is good from a little before it was made. */
const backdateMs = 5 * 60_000;

const defaultLeafMs = dayMs;
const longestLeafMs = 7 * dayMs;
const shortestLeafMs = 10_000;

export interface AuthorityOptions {
  /** Where keys and certificates are kept; made 0700. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Told of an intermediate that could not be renewed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** What something stops without. */
export interface CertificateSummary {
  readonly name: "root" | "intermediate";
  readonly subject: string;
  readonly notAfterMs: number;
}

/** The SPIFFE id of the control plane of a trust domain: what clients demand of whoever answers on port 15012. */
export function controlPlaneSpiffeId(trustDomain: string): string {
  return `spiffe://${trustDomain}/ns/weft-system/sa/control-plane`;
}

/**
 * Opens the authority kept in `directory`, making one where there is nothing at all, and a new intermediate where the old
 * one is broken or has less than a third of its life left. Throws AuthorityError where what is kept can't be trusted.
 */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const { directory, trustDomain, clock } = options;
  const keys = new KeyDirectory(directory);
  if (keys.isEmpty()) {
    const root = await createRoot(trustDomain, lasting(clock, rootMs));
    const intermediate = await createIntermediate(root, intermediateValidity(clock, root));
    keys.create({ ...filesOf("root", root), ...filesOf("intermediate", intermediate) });
    return await started(new Authority(options, keys, root, intermediate, true));
  }
  const root = await readRoot(keys, trustDomain, clock.now());
  const intermediate = (await readIntermediate(keys, root)) ?? (await renewIntermediate(keys, clock, root));
  return await started(new Authority(options, keys, root, intermediate, false));
}

async function started(authority: Authority): Promise<Authority> {
  await authority.renewIfDue();
  return authority;
}

/** Signs workload certificates. Its keys stay inside: nothing here returns one. Renews its intermediate until closed. */
export class Authority {
  /** Whether this start made the root. */
  readonly isNew: boolean;
  readonly #options: AuthorityOptions;
  readonly #keys: KeyDirectory;
  readonly #root: KeyedCertificate;
  #intermediate: KeyedCertificate;
  #cancelTimer: () => void = () => undefined;

  constructor(
    options: AuthorityOptions,
    keys: KeyDirectory,
    root: KeyedCertificate,
    intermediate: KeyedCertificate,
    isNew: boolean,
  ) {
    this.#options = options;
    this.#keys = keys;
    this.#root = root;
    this.#intermediate = intermediate;
    this.isNew = isNew;
  }

  get rootPem(): string {
    return certificatePem(this.#root.certificate);
  }

  get rootDer(): Uint8Array {
    return new Uint8Array(this.#root.certificate.rawData);
  }

  /**
   * The chain for a workload: leaf, intermediate, root, one PEM each.
   *
   * The name is the caller's proven identity, the bounds are the proof's; the request gives the key. A wished validity is
   * kept within 10 s and 7 days (24 h where there is no wish) and within the intermediate's own.
   */
  async sign(request: SigningRequest, spiffeId: string, bounds: Bounds, wishMs: number): Promise<string[]> {
    const lifeMs = wishMs <= 0 ? defaultLeafMs : Math.min(Math.max(wishMs, shortestLeafMs), longestLeafMs);
    const names = [{ type: "url" as const, value: spiffeId }];
    const leaf = await issueLeaf(this.#intermediate, request.publicKey, names, this.#lasting(lifeMs), [
      boundsExtension(bounds),
    ]);
    return [certificatePem(leaf), certificatePem(this.#intermediate.certificate), this.rootPem];
  }

  /**
   * The chain for the control plane's own TLS port: its SPIFFE id and `hosts`.
   *
   * The root stands in it twice, as a source of identities reads chains: the last is what is trusted, the one before is
   * shown in handshakes, where a client that knows only the root's hash looks for it.
   */
  async signOwn(request: SigningRequest, hosts: readonly string[]): Promise<string[]> {
    const names = [
      { type: "url" as const, value: controlPlaneSpiffeId(this.#options.trustDomain) },
      ...hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value })),
    ];
    const leaf = await issueLeaf(this.#intermediate, request.publicKey, names, this.#lasting(ownMs), []);
    const intermediate = certificatePem(this.#intermediate.certificate);
    return [certificatePem(leaf), intermediate, this.rootPem, this.rootPem];
  }

  certificates(): CertificateSummary[] {
    return [
      { name: "root", keyed: this.#root } as const,
      { name: "intermediate", keyed: this.#intermediate } as const,
    ].map(({ name, keyed: { certificate } }) => ({
      name,
      subject: certificate.subject,
      notAfterMs: certificate.notAfter.getTime(),
    }));
  }

  /** Replaces the intermediate where less than a third of its life is left, and looks again when that will be so. */
  async renewIfDue(): Promise<void> {
    if (this.#dueInMs() <= 0) {
      this.#intermediate = await renewIntermediate(this.#keys, this.#options.clock, this.#root);
    }
    this.#wait(this.#dueInMs());
  }

  close(): void {
    this.#cancelTimer();
  }

  #lasting(ms: number): Validity {
    return within(lasting(this.#options.clock, ms), this.#intermediate);
  }

  #dueInMs(): number {
    const { notAfter } = this.#intermediate.certificate;
    // Another one would end with the root too, as this one does.
    if (notAfter >= this.#root.certificate.notAfter) return Number.POSITIVE_INFINITY;
    return notAfter.getTime() - intermediateMs / 3 - this.#options.clock.now();
  }

  #wait(delayMs: number): void {
    this.#cancelTimer();
    if (delayMs === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#options.clock.schedule(delayMs, () => {
      this.renewIfDue().catch((error: unknown) => {
        this.#options.onError(error);
        this.#wait(retryMs);
      });
    });
  }
}

async function renewIntermediate(keys: KeyDirectory, clock: Clock, root: KeyedCertificate): Promise<KeyedCertificate> {
  const made = await createIntermediate(root, intermediateValidity(clock, root));
  for (const [name, text] of Object.entries(filesOf("intermediate", made))) keys.write(name, text);
  return made;
}

function intermediateValidity(clock: Clock, root: KeyedCertificate): Validity {
  return within(lasting(clock, intermediateMs), root);
}

function lasting(clock: Clock, ms: number): Validity {
  const now = clock.now();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + ms) };
}

/** No certificate outlives its issuer's. */
function within(wished: Validity, { certificate: { notAfter } }: KeyedCertificate): Validity {
  return wished.notAfter < notAfter ? wished : { ...wished, notAfter };
}
