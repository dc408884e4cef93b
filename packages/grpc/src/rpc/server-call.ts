import type { X509Certificate } from "node:crypto";
import type { SpiffeId } from "../identity/spiffe.ts";
import type { Metadata } from "./metadata.ts";

/** Who is at the other end of a connection, as established by the transport; never by what the peer says in metadata. */
export interface CallPeer {
  /** `host:port`, `[v6]:port`, or `unix:` for a unix socket. */
  readonly address: string;
  /** The SPIFFE id of a verified client certificate. */
  readonly identity: SpiffeId | undefined;
  /** The verified client certificate, read when first asked for. */
  readonly certificate: X509Certificate | undefined;
}

/** What a handler knows about its call, and the two things it may say besides its messages: headers and trailers. */
export interface ServerContext {
  /** `/package.Service/Method`. */
  readonly path: string;
  /** Request metadata without the protocol's own headers. */
  readonly metadata: Metadata;
  /** Trailing metadata, sent with the status. */
  readonly trailers: Metadata;
  readonly deadline: Date | undefined;
  /** Aborts when the caller cancels, the deadline passes or the connection is lost; never after the status was sent. */
  readonly signal: AbortSignal;
  readonly peer: CallPeer;
  /** Sends response headers now, before the first message. Throws when they are already out. */
  sendHeaders(metadata: Metadata): void;
}
