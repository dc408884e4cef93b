import type { ServerCredentials } from "../identity/credentials.ts";
import type { ListeningPolicyFactory } from "./listening-policy.ts";
import type { ServiceDefinition, ServiceHandlers } from "./service-definition.ts";

/** How a server is made; everything has a safe default. */
export interface ServerOptions {
  /** Default: plaintext. Not together with `listening`. */
  readonly credentials?: ServerCredentials;
  /** Who decides, per bound address and live, how connections are treated. Needed for credentials of kind `xds`. */
  readonly listening?: ListeningPolicyFactory;
  /** What the address's port is called where this server is registered. Default `grpc`. */
  readonly portName?: string;
  /** A longer request message ends its call with RESOURCE_EXHAUSTED. Default 4 MiB. */
  readonly maxReceiveMessageBytes?: number;
  /** Further connections are closed at once. Default 10,000. */
  readonly maxConnections?: number;
  /** From accept to the end of the TLS handshake. Default 10 s. */
  readonly handshakeTimeoutMs?: number;
  /** How long calls may still run on a connection that its policy no longer allows. Default 10 s. */
  readonly drainGraceMs?: number;
  /** Told of each error a handler threw that is no `RpcError`: the caller learns nothing of it but UNKNOWN. Default: stderr. */
  readonly onHandlerError?: (error: unknown, path: string) => void;
}

/** Where a server listens. */
export interface ListeningAddress {
  /** `host:port` with the real port, or `unix:/path`. */
  readonly address: string;
  /** 0 for a unix socket. */
  readonly port: number;
}

/** A gRPC server of promise handlers. */
export interface Server extends AsyncDisposable {
  /** Serves `definition` with `handlers`. Throws when one of its methods is already served. */
  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void;
  /** Listens on `host:port` or `unix:/path` (made 0600; a stale socket file is replaced). May be called for several addresses. */
  listen(address: string): Promise<ListeningAddress>;
  /** Stops listening, lets running calls end for `graceMs` (default 5 s), then cuts what is left. */
  close(graceMs?: number): Promise<void>;
}
