import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { IdentitySource, TrustSource } from "./material.ts";
import type { PeerVerification } from "./peer-verification.ts";

/** Where the roots come from that a peer's chain must end in. `system`: the ones Node ships. */
export type Trust = TrustSource | "system";

/** How a client speaks TLS. The same object for the life of a channel: contexts are cached by it. */
export interface TlsClientSettings {
  /** What is shown when the server asks for a certificate. With a source, a connection waits for its first material by failing, never by going without. */
  readonly identity?: IdentitySource;
  readonly trust: Trust;
  readonly verify: PeerVerification;
  /** SNI, and the name that `hostname` verification expects; default: the host that was dialled. */
  readonly serverName?: string;
}

/** How a server speaks TLS. The same object for as long as it is in force: contexts are cached by it. */
export interface TlsServerSettings {
  readonly identity: IdentitySource;
  /** As OpenSSL writes them. Default: those with forward secrecy that HTTP/2 allows. */
  readonly ciphers?: string;
  readonly clients:
    | { readonly kind: "anonymous" }
    /** `require: false` lets a client without a certificate in, as nobody; a certificate that is shown must verify either way. */
    | {
        readonly kind: "certificate";
        readonly require: boolean;
        readonly trust: Trust;
        readonly verify: PeerVerification;
      };
}

/** A handshake that someone else defines (grpc-js's own credentials). Must reject, never step down. */
export type TlsConnector = (socket: Socket, serverName: string) => Promise<TLSSocket>;

/** What a channel without xDS speaks, and what an xDS channel falls back to where the control plane names no security. */
export type PlainChannelCredentials =
  | { readonly kind: "insecure" }
  | { readonly kind: "tls"; readonly tls: TlsClientSettings }
  | { readonly kind: "connector"; readonly connect: TlsConnector };

/** How a channel's connections are secured. `xds`: as the control plane says for each cluster. */
export type ChannelCredentials =
  | PlainChannelCredentials
  | { readonly kind: "xds"; readonly fallback: PlainChannelCredentials };

/** What a server without xDS speaks, and what an xDS server falls back to where the control plane names no security. */
export type PlainServerCredentials =
  | { readonly kind: "insecure" }
  | { readonly kind: "tls"; readonly tls: TlsServerSettings };

/** How a server's connections are secured. `xds`: as the control plane says for each listener. */
export type ServerCredentials =
  | PlainServerCredentials
  | { readonly kind: "xds"; readonly fallback: PlainServerCredentials };

/** Plaintext. */
export const insecure: { readonly kind: "insecure" } = { kind: "insecure" };
