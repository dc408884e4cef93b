import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { parseSpiffeId, type SpiffeId } from "./spiffe.ts";

/** Which SPIFFE ids are welcome. There is deliberately no "any": at least the trust domain is checked. */
export type AllowedSpiffeIds =
  /** Exactly these; an empty list lets nobody in. */
  | { readonly kind: "ids"; readonly ids: readonly string[] }
  | { readonly kind: "trust-domains"; readonly trustDomains: readonly string[] }
  /** `description` stands in refusals: "an id that starts with …". */
  | { readonly kind: "matcher"; readonly description: string; readonly matches: (id: SpiffeId) => boolean };

/** One name in a certificate. */
export interface SubjectAltName {
  readonly type: "DNS" | "URI" | "IP Address" | "email" | "other";
  readonly value: string;
}

/** What a peer's certificate must say, beyond a chain to a trusted root. */
export type PeerVerification =
  /** Exactly one URI SAN, a SPIFFE id, and one of the allowed. */
  | { readonly kind: "spiffe"; readonly allowed: AllowedSpiffeIds }
  /** Some SAN that matches (xDS `match_subject_alt_names` with anything but SPIFFE ids); `description` stands in refusals. */
  | { readonly kind: "name"; readonly description: string; readonly matches: (name: SubjectAltName) => boolean }
  /** No more than the chain: what servers outside a mesh ask of clients, whose certificates need no names. Not for clients. */
  | { readonly kind: "chain" }
  /** The dialled name, as browsers check it (RFC 9525). Clients only: a server refuses everybody with it. */
  | { readonly kind: "hostname" };

/** What verification found: the id (where there is one), or the reason to refuse. */
export type PeerVerdict =
  | { readonly kind: "accepted"; readonly spiffeId: SpiffeId | undefined }
  | { readonly kind: "refused"; readonly reason: string };

const nameTypes: ReadonlySet<string> = new Set(["DNS", "URI", "IP Address", "email"]);
/** Node's text form: `type:value, type:"json string"`; a value with a comma or quote is always quoted. */
const namePattern = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;

/** The SANs of `certificate`, in their order. */
export function subjectAltNames(certificate: X509Certificate): SubjectAltName[] {
  const names: SubjectAltName[] = [];
  for (const [, type, value] of (certificate.subjectAltName ?? "").matchAll(namePattern)) {
    if (type === undefined || value === undefined) continue;
    names.push({
      type: nameTypes.has(type) ? (type as SubjectAltName["type"]) : "other",
      value: value.startsWith('"') ? String(JSON.parse(value)) : value,
    });
  }
  return names;
}

/** The SPIFFE id of a certificate that has exactly one URI SAN and is no CA (X509-SVID §2, §5.2), or why there is none. */
export function certificateSpiffeId(certificate: X509Certificate): SpiffeId | { readonly problem: string } {
  if (certificate.ca) return { problem: "its certificate is a CA's, not a workload's" };
  const uris = subjectAltNames(certificate).filter((name) => name.type === "URI");
  const [uri, second] = uris;
  if (uri === undefined) return { problem: "its certificate names no SPIFFE id" };
  if (second !== undefined)
    return { problem: `its certificate names ${uris.length} URIs where exactly one is allowed` };
  return parseSpiffeId(uri.value) ?? { problem: `its certificate's URI ${quoted(uri.value)} is not a SPIFFE id` };
}

/** Whether `certificate`, whose chain was verified already, is one of `allowed`. */
export function verifySpiffePeer(certificate: X509Certificate, allowed: AllowedSpiffeIds): PeerVerdict {
  const id = certificateSpiffeId(certificate);
  if ("problem" in id) return { kind: "refused", reason: id.problem };
  if (isAllowed(id, allowed)) return { kind: "accepted", spiffeId: id };
  return { kind: "refused", reason: `it is ${id.uri}, expected ${describe(allowed)}` };
}

/** Whether `certificate`, whose chain was verified already, says what `verification` demands; `hostname` is what was dialled. */
export function verifyPeer(
  certificate: X509Certificate,
  verification: PeerVerification,
  hostname: string | undefined,
): PeerVerdict {
  if (verification.kind === "spiffe") return verifySpiffePeer(certificate, verification.allowed);
  const id = certificateSpiffeId(certificate);
  const accepted: PeerVerdict = { kind: "accepted", spiffeId: "problem" in id ? undefined : id };
  if (verification.kind === "chain") return accepted;
  const names = subjectAltNames(certificate);
  if (verification.kind === "name") {
    if (names.some((name) => verification.matches(name))) return accepted;
    return { kind: "refused", reason: `it is ${listed(names)}, expected ${verification.description}` };
  }
  if (hostname !== undefined && namesHost(certificate, hostname)) return accepted;
  return { kind: "refused", reason: `it is ${listed(names)}, expected ${hostname ?? "no one: no name was dialled"}` };
}

function isAllowed(id: SpiffeId, allowed: AllowedSpiffeIds): boolean {
  switch (allowed.kind) {
    case "ids":
      return allowed.ids.includes(id.uri);
    case "trust-domains":
      return allowed.trustDomains.includes(id.trustDomain);
    case "matcher":
      return allowed.matches(id);
  }
}

function describe(allowed: AllowedSpiffeIds): string {
  switch (allowed.kind) {
    case "ids":
      return allowed.ids.length === 0 ? "no one: nobody is allowed" : several(allowed.ids);
    case "trust-domains":
      return `an id of trust domain ${several(allowed.trustDomains)}`;
    case "matcher":
      return allowed.description;
  }
}

/** Lists in messages stay short, whatever a certificate carries. */
function several(values: readonly string[]): string {
  const shown = values.slice(0, 3).join(" or ");
  return values.length > 3 ? `${shown} or ${values.length - 3} more` : shown;
}

function listed(names: readonly SubjectAltName[]): string {
  return names.length === 0 ? "without a name" : several(names.map((name) => quoted(name.value)));
}

function quoted(value: string): string {
  // Escaped, because one character like it makes V8 hold and read the whole bundle at two bytes a character.
  return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}\u2026` : value);
}

/** A subject's common name is never a host name here (RFC 9525 §2). */
function namesHost(certificate: X509Certificate, hostname: string): boolean {
  if (isIP(hostname) !== 0) return certificate.checkIP(hostname) !== undefined;
  return certificate.checkHost(hostname, { subject: "never" }) !== undefined;
}
