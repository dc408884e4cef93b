import { isIP } from "node:net";
import { boundsExtension } from "../authn/bounds-extension.ts";
import type { Bounds } from "../authn/identity.ts";
import {
  certificatePem,
  createIntermediate,
  createRoot,
  issueLeaf,
  type KeyedCertificate,
  readKeyed,
  type Validity,
} from "./certificates.ts";
import { KeyDirectory } from "./key-files.ts";
import type { SigningRequest } from "./signing-request.ts";

const dayMs = 24 * 3_600_000;
const rootMs = 3650 * dayMs;
const intermediateMs = 365 * dayMs;
const ownMs = 30 * dayMs;
/** Clocks differ: a certificate is good from a little before it was made. */
const backdateMs = 5 * 60_000;

const defaultLeafMs = dayMs;
const longestLeafMs = 7 * dayMs;
const shortestLeafMs = 10_000;

export interface AuthorityOptions {
  /** Where keys and certificates are kept; made 0700. */
  readonly directory: string;
  readonly trustDomain: string;
  readonly nowMs: () => number;
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
 * Opens the authority kept in `directory`, making root and intermediate where there are none, and a new intermediate
 * where the old one has less than a third of its life left.
 *
 * Throws ExposedKeyError where a key file can be read by others.
 */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const keys = new KeyDirectory(options.directory);
  const root = await readOrCreate(keys, "root", () => createRoot(options.trustDomain, lasting(options, rootMs)));
  const create = () => createIntermediate(root, lasting(options, intermediateMs));
  let intermediate = await readOrCreate(keys, "intermediate", create);
  if (intermediate.certificate.notAfter.getTime() - options.nowMs() < intermediateMs / 3) {
    intermediate = await create();
    keep(keys, "intermediate", intermediate);
  }
  return new Authority(options, root, intermediate);
}

/** Signs workload certificates. Its keys stay inside: nothing here returns one. */
export class Authority {
  readonly #options: AuthorityOptions;
  readonly #root: KeyedCertificate;
  readonly #intermediate: KeyedCertificate;

  constructor(options: AuthorityOptions, root: KeyedCertificate, intermediate: KeyedCertificate) {
    this.#options = options;
    this.#root = root;
    this.#intermediate = intermediate;
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

  #lasting(ms: number): Validity {
    const wished = lasting(this.#options, ms);
    const { notAfter } = this.#intermediate.certificate;
    return wished.notAfter < notAfter ? wished : { ...wished, notAfter };
  }
}

function lasting({ nowMs }: AuthorityOptions, ms: number): Validity {
  const now = nowMs();
  return { notBefore: new Date(now - backdateMs), notAfter: new Date(now + ms) };
}

async function readOrCreate(
  keys: KeyDirectory,
  name: string,
  create: () => Promise<KeyedCertificate>,
): Promise<KeyedCertificate> {
  const privateKeyPem = keys.read(`${name}-key.pem`);
  const certificate = keys.read(`${name}.pem`);
  if (privateKeyPem !== undefined && certificate !== undefined) return await readKeyed(privateKeyPem, certificate);
  const made = await create();
  keep(keys, name, made);
  return made;
}

function keep(keys: KeyDirectory, name: string, { privateKeyPem, certificate }: KeyedCertificate): void {
  // The certificate last: a crash between the two leaves no pair, and the next start makes a new one.
  keys.write(`${name}-key.pem`, privateKeyPem);
  keys.write(`${name}.pem`, certificatePem(certificate));
}
