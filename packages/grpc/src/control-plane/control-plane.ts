import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import type { Channel } from "../channel/channel.ts";
import type { IdentitySource, SourceStatus } from "../identity/material.ts";
import type { Metadata } from "../rpc/metadata.ts";

/**
 * A process's way to its control plane, and who it is there. One per process: the xDS client, the registry session and
 * the TLS settings of xDS share it. Whoever created it closes it.
 */
export interface ControlPlane {
  /** Where it is, for messages: `127.0.0.1:15012`, `unix:/run/weft/xds`. */
  readonly address: string;
  /** Carries ADS. Before `node()` has resolved there may be nobody to be on it. */
  readonly channel: Channel;
  /** Metadata that every call on `channel` needs (call credentials of a bootstrap); fresh for each call. */
  callMetadata(): Metadata;
  /**
   * What DiscoveryRequests say about this process; the same object from then on. At once with a bootstrap; a process
   * that joins knows its namespace when its first certificate is there. Rejects when `signal` aborts or on `close`.
   */
  node(signal?: AbortSignal): Promise<Node>;
  /** The bootstrap's `server_listener_resource_name_template`; undefined where the bootstrap has none, and no server can be configured. */
  readonly serverListenerTemplate: string | undefined;
  /**
   * The source of an xDS TLS context's certificate provider instance, or undefined where the name is unknown (the
   * resource is refused then). `default` is this process's own certificate unless the bootstrap names another.
   */
  certificateProvider(name: string): IdentitySource | undefined;
  /** How this process registers; undefined where nothing is registered. */
  readonly registration: RegistrationAccess | undefined;
  status(): ControlPlaneStatus;
  /** Calls `changed` whenever `status` tells something else; returns how to stop. */
  watchStatus(changed: () => void): () => void;
  close(): Promise<void>;
}

/** Where the registry session goes, and what its Hello says. */
export interface RegistrationAccess {
  readonly channel: Channel;
  /** Resolves once a session may be opened, with the node id that it names. Rejects as `ControlPlane.node` does. */
  ready(signal?: AbortSignal): Promise<string>;
  /** New for every start of the process. */
  readonly incarnation: string;
  /** WEFT_ADDRESS; empty: the session's peer address. */
  readonly address: string;
  /** WEFT_LABELS. */
  readonly labels: Readonly<Record<string, string>>;
  /** The name a person knows the process by. */
  readonly displayName: string;
  readonly sdk: string;
}

/** What a person should know about the way to the control plane. */
export interface ControlPlaneStatus {
  /** This process's own certificate; undefined where it has none of its own. */
  readonly identity: SourceStatus | undefined;
  /** Why `node()` has not resolved yet; undefined while nothing went wrong. */
  readonly problem: string | undefined;
  /** Whether that is the control plane's own no (to the token), or it isn't the token's control plane: waiting mends neither. */
  readonly isRefused: boolean;
}
