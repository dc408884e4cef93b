import type { ServerCredentials, ServerInterceptor } from "@grpc/grpc-js";
import type {
  ServerCredentials as OurServerCredentials,
  PlainServerCredentials,
  TlsServerSettings,
} from "../identity/credentials.ts";
import type { IdentitySource, TlsMaterial } from "../identity/material.ts";
import { tlsMaterial } from "../identity/pem.ts";
import { XdsServerCredentials } from "./xds-server-credentials.ts";

// grpc-js gives TLS material only through underscore methods of its public declarations: this file is the one place
// that knows them, and what the peer dependency's range is pinned for.

type ContextOptions = NonNullable<ReturnType<ServerCredentials["_getSecureContextOptions"]>>;

/** grpc-js's server credentials, or XdsServerCredentials, as ours. */
export function serverCredentials(credentials: ServerCredentials): OurServerCredentials {
  if (!(credentials instanceof XdsServerCredentials)) return plainServerCredentials(credentials);
  return { kind: "xds", fallback: plainServerCredentials(credentials.fallback) };
}

/**
 * grpc-js's own server credentials as ours. Certificates that a provider swaps are used by the handshakes that follow.
 * Throws for several key pairs, and for what isn't PEM.
 */
export function plainServerCredentials(credentials: ServerCredentials): PlainServerCredentials {
  if (!credentials._isSecure()) return { kind: "insecure" };
  // What can't be used fails here, before anything listens, and not at each handshake. A provider may have none yet.
  const options = credentials._getSecureContextOptions();
  if (options !== null) materialOf(options);
  return { kind: "tls", tls: tlsServerSettings(credentials) };
}

/** Makes `credentials` of a certificate provider load and renew, until the function returned is called. */
export function followCertificates(credentials: ServerCredentials): () => void {
  const followed = credentials instanceof XdsServerCredentials ? credentials.fallback : credentials;
  // Handshakes ask for what is current. A provider has something while somebody watches.
  const watcher = () => undefined;
  followed._addWatcher(watcher);
  return () => followed._removeWatcher(watcher);
}

/** The interceptors that credentials may carry. */
export function credentialsInterceptors(credentials: ServerCredentials): readonly ServerInterceptor[] {
  return credentials._getInterceptors();
}

function tlsServerSettings(credentials: ServerCredentials): TlsServerSettings {
  const identity = contextIdentity(credentials);
  const { requestCert, rejectUnauthorized, ciphers } = credentials._getConstructorOptions() ?? {};
  // GRPC_SSL_CIPHER_SUITES
  const own = ciphers === undefined ? { identity } : { identity, ciphers };
  if (requestCert !== true) return { ...own, clients: { kind: "anonymous" } };
  const require = rejectUnauthorized !== false;
  // grpc-js asks for a chain to its roots and nothing more.
  // Without roots of its own grpc-js leaves clients to those that Node ships.
  const hasRoots = pems(credentials._getSecureContextOptions()?.ca).length > 0;
  const trust = hasRoots || credentials._getSecureContextOptions() === null ? identity : "system";
  return { ...own, clients: { kind: "certificate", require, trust, verify: { kind: "chain" } } };
}

/** Reads the credentials' current material at each handshake; parses it once per swap. */
function contextIdentity(credentials: ServerCredentials): IdentitySource {
  let parsed: { readonly from: ContextOptions; readonly material: TlsMaterial } | undefined;
  let lastError: string | undefined;
  const current = (): TlsMaterial | undefined => {
    const options = credentials._getSecureContextOptions();
    if (options === null) return undefined;
    if (parsed?.from === options) return parsed.material;
    try {
      parsed = { from: options, material: materialOf(options) };
      lastError = undefined;
    } catch (error) {
      lastError = error instanceof Error ? error.message : String(error);
    }
    return parsed?.material;
  };
  return {
    current,
    roots: () => current()?.rootsPem,
    status: () => ({ notAfter: parsed?.material.notAfter, lastError, nextAttempt: undefined }),
    watch(changed) {
      credentials._addWatcher(changed);
      return () => credentials._removeWatcher(changed);
    },
    close: closeNothing,
  };
}

function closeNothing(): void {
  // The application owns its credentials.
}

function materialOf(options: ContextOptions): TlsMaterial {
  return tlsMaterial({
    privateKeyPem: onlyPem(options.key, "private key"),
    certificateChainPem: onlyPem(options.cert, "certificate chain"),
    rootsPem: pems(options.ca).join("\n"),
  });
}

function onlyPem(value: unknown, what: string): string {
  const [first, ...rest] = pems(value);
  if (first === undefined) throw new Error(`the server credentials have no ${what}`);
  if (rest.length > 0) throw new Error(`the server credentials have more than one ${what}: only one is supported`);
  return first;
}

function pems(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  return (Array.isArray(value) ? value : [value]).map((one: unknown) => {
    if (typeof one === "string") return one;
    if (one instanceof Uint8Array) return Buffer.from(one).toString("latin1");
    throw new Error("the server credentials hold keys or certificates in a form other than PEM");
  });
}
