import type { X509Certificate } from "node:crypto";
import type { TlsServerSettings } from "../identity/credentials.ts";
import { verifyPeer } from "../identity/peer-verification.ts";
import type { ListeningMode } from "./listening-policy.ts";

/** What must be remembered of a connection to judge it again. */
export interface AcceptedUnder {
  readonly mode: ListeningMode;
  /** The client's, where it showed one that was verified. */
  readonly certificate: X509Certificate | undefined;
}

/** Whether a connection that was accepted under an earlier mode may stay under `mode`: whoever would be refused now must go. */
export function modeAllows(mode: ListeningMode, accepted: AcceptedUnder): boolean {
  switch (mode.kind) {
    case "refuse":
      return false;
    case "plaintext":
      return accepted.mode.kind === "plaintext";
    case "tls":
      return accepted.mode.kind === "tls" && allowsClient(mode.credentials, accepted.mode.credentials, accepted);
  }
}

function allowsClient(now: TlsServerSettings, then: TlsServerSettings, { certificate }: AcceptedUnder): boolean {
  if (now === then || now.clients.kind === "anonymous") return true;
  if (certificate === undefined) return !now.clients.require;
  // The chain was verified against the old roots; against others it would have to be shown again.
  if (then.clients.kind !== "certificate" || then.clients.trust !== now.clients.trust) return false;
  return verifyPeer(certificate, now.clients.verify, undefined).kind === "accepted";
}
