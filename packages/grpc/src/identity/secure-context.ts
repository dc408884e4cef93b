import type { SecureContext, SecureContextOptions, TlsOptions } from "node:tls";
import { lateBuiltins } from "../late-builtins.ts";
import type { TlsClientSettings, TlsServerSettings, Trust } from "./credentials.ts";
import type { IdentitySource, TlsMaterial } from "./material.ts";
import { TlsError } from "./tls-error.ts";

/** AEAD with forward secrecy only: HTTP/2 forbids the rest of TLS 1.2 (RFC 9113 appendix A). */
const ciphers = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

const protocol: SecureContextOptions = {
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
  ciphers,
  honorCipherOrder: true,
};

interface Built<T> {
  readonly material: TlsMaterial | undefined;
  readonly roots: string | undefined;
  readonly value: T;
}

const clients = new WeakMap<TlsClientSettings, Built<SecureContext>>();
const servers = new WeakMap<TlsServerSettings, Built<TlsOptions>>();

/** The context of `settings` for a handshake that begins now: the same until material or roots are swapped, then a new one. */
export function clientContext(settings: TlsClientSettings): SecureContext {
  const material = settings.identity === undefined ? undefined : currentMaterial(settings.identity);
  return current(clients, settings, material, rootsOf(settings.trust), (options) =>
    lateBuiltins.tls.createSecureContext(options),
  );
}

/** What a tls.Server is made of for a handshake that begins now: the same object until material or roots are swapped, then a new one. */
export function acceptorOptions(settings: TlsServerSettings): TlsOptions {
  const { identity, clients } = settings;
  const material = currentMaterial(identity);
  const roots = clients.kind === "anonymous" ? undefined : rootsOf(clients.trust);
  return current(servers, settings, material, roots, (options) => ({
    ...options,
    ciphers: settings.ciphers ?? ciphers,
    ALPNProtocols: ["h2"],
    requestCert: clients.kind === "certificate",
    // The chain is judged after the handshake, where the reason is at hand: Node would close without telling it.
    rejectUnauthorized: false,
  }));
}

function current<Settings extends object, T>(
  cache: WeakMap<Settings, Built<T>>,
  settings: Settings,
  material: TlsMaterial | undefined,
  roots: string | undefined,
  build: (options: SecureContextOptions) => T,
): T {
  const built = cache.get(settings);
  if (built !== undefined && built.material === material && built.roots === roots) return built.value;
  const { constants } = lateBuiltins.crypto;
  const options: SecureContextOptions = {
    ...protocol,
    // A resumed session skips certificate verification: an expired or withdrawn identity would live on in a ticket.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
  if (material !== undefined) {
    options.key = material.privateKeyPem;
    options.cert = material.certificateChainPem;
  }
  if (roots !== undefined) options.ca = roots;
  const value = build(options);
  cache.set(settings, { material, roots, value });
  return value;
}

/** Node's own roots are what a context without `ca` trusts. */
function rootsOf(trust: Trust): string | undefined {
  if (trust === "system") return undefined;
  const roots = trust.roots();
  if (roots === undefined || roots === "") throw new TlsError("not-ready", "there are no trusted roots yet");
  return roots;
}

function currentMaterial(identity: IdentitySource): TlsMaterial {
  const material = identity.current();
  if (material !== undefined) return material;
  const { lastError } = identity.status();
  const why = lastError === undefined ? "" : `: ${lastError}`;
  throw new TlsError("not-ready", `this process has no certificate yet${why}`);
}
