// How an application says how its connections are secured, without knowing what sources and verifications are.
import type {
  ChannelCredentials,
  PlainChannelCredentials,
  PlainServerCredentials,
  ServerCredentials,
} from "./identity/credentials.ts";
import { tlsMaterial } from "./identity/pem.ts";
import { staticIdentity, staticRoots } from "./identity/static-source.ts";

/** A key with its certificate, as PEM. */
export interface KeyPair {
  readonly privateKeyPem: string;
  /** The leaf first, then intermediates. */
  readonly certificateChainPem: string;
}

export interface TlsChannelCredentialsOptions {
  /** The roots that a server's chain may end in. Default: those that Node ships. */
  readonly rootsPem?: string;
  /** What is shown to a server that asks for a certificate. */
  readonly keyPair?: KeyPair;
  /** The name that the server's certificate must be for. Default: the target's. */
  readonly serverName?: string;
}

export interface TlsServerCredentialsOptions {
  readonly keyPair: KeyPair;
  /** The roots that a client's chain must end in. Without them clients stay anonymous. */
  readonly clientRootsPem?: string;
  /** Default: true where there are roots. */
  readonly requireClientCertificate?: boolean;
}

/** TLS; the server is verified by its name. Throws where a PEM is none, or key and certificate don't belong together. */
export function tlsChannelCredentials(options: TlsChannelCredentialsOptions = {}): PlainChannelCredentials {
  const { rootsPem, keyPair, serverName } = options;
  return {
    kind: "tls",
    tls: {
      trust: rootsPem === undefined ? "system" : staticRoots(rootsPem),
      verify: { kind: "hostname" },
      ...(keyPair === undefined
        ? {}
        : { identity: staticIdentity(tlsMaterial({ ...keyPair, rootsPem: rootsPem ?? "" })) }),
      ...(serverName === undefined ? {} : { serverName }),
    },
  };
}

/** TLS, or with roots mTLS. Throws where a PEM is none, or key and certificate don't belong together. */
export function tlsServerCredentials(options: TlsServerCredentialsOptions): PlainServerCredentials {
  const { keyPair, clientRootsPem, requireClientCertificate } = options;
  const identity = staticIdentity(tlsMaterial({ ...keyPair, rootsPem: clientRootsPem ?? "" }));
  if (clientRootsPem === undefined) return { kind: "tls", tls: { identity, clients: { kind: "anonymous" } } };
  return {
    kind: "tls",
    tls: {
      identity,
      clients: {
        kind: "certificate",
        require: requireClientCertificate ?? true,
        trust: staticRoots(clientRootsPem),
        verify: { kind: "chain" },
      },
    },
  };
}

/** As the control plane says for each cluster; `fallback` for clusters of which it says nothing (gRFC A29). */
export function xdsChannelCredentials(fallback: PlainChannelCredentials): ChannelCredentials {
  return { kind: "xds", fallback };
}

/** As the control plane says for each listener; `fallback` where it says nothing (gRFC A36). */
export function xdsServerCredentials(fallback: PlainServerCredentials): ServerCredentials {
  return { kind: "xds", fallback };
}
