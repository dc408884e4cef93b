/** One ADS stream as the control plane sees it: what `weft status` and the console show. */
export interface ClientStatus {
  /** Unique among this process's streams, past and present. */
  readonly streamId: string;
  /** What the client calls itself; not proven. */
  readonly node: ClientNode;
  /** Who the client proved to be (a SPIFFE id), or undefined on a plaintext port. */
  readonly identity: string | undefined;
  /** The remote address. */
  readonly peer: string;
  readonly connectedAtMs: number;
  readonly types: readonly TypeStatus[];
}

/** The parts of a client's Node that people look for. */
export interface ClientNode {
  readonly id: string;
  readonly cluster: string;
  readonly userAgentName: string;
  readonly userAgentVersion: string;
}

/**
 * SYNCED: the client acknowledged all there is for it. STALE: something newer is on its way or unanswered.
 * NACKED: it refused the present content of at least one name, and keeps what it accepted last.
 */
export type SyncState = "SYNCED" | "STALE" | "NACKED";

/** One resource type on one stream. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly isWildcard: boolean;
  readonly names: readonly string[];
  readonly state: SyncState;
  /** When the client last asked, was sent something, or answered. */
  readonly sinceMs: number;
  readonly sentVersion: string | undefined;
  readonly ackedVersion: string | undefined;
  /** The newest refusal; gone once nothing that the client refused is current any more. */
  readonly nack: Nack | undefined;
}

/** A client's refusal of a response. */
export interface Nack {
  readonly nonce: string;
  readonly version: string;
  /** The client's own words, shortened. */
  readonly reason: string;
  /** The names it is about: those that the words mention, or else all that had changed in the response. */
  readonly names: readonly string[];
  readonly atMs: number;
}

/** What happened on a stream; `status` is taken after it happened. */
export interface DiscoveryEvent {
  readonly kind: "connected" | "sent" | "acked" | "nacked" | "disconnected";
  readonly typeUrl: string | undefined;
  readonly streamId: string;
}
