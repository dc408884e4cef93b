// What travels over the admin API, as types that both ends share. JSON: no dates, no bigints, times in milliseconds since 1970.
import type { Unanswerable } from "../catalog/catalog.ts";
import type { ClientStatus } from "../discovery/client-status.ts";
import type { Diagnostic } from "../model/diagnostic.ts";
import type { Workload } from "../model/workload.ts";
import type { InterfaceStatus } from "../registry/registry.ts";
import type { ChangeResult, ResourceView } from "../sources/sources.ts";
import type { CreatedToken, TokenRequest, TokenView } from "../store/join-tokens.ts";
import type { AuditEntry, ResourceKey } from "../store/records.ts";

export type {
  AuditEntry,
  ChangeResult,
  ClientStatus,
  CreatedToken,
  Diagnostic,
  InterfaceStatus,
  ResourceKey,
  ResourceView,
  TokenRequest,
  TokenView,
  Unanswerable,
};

/** Where one of the program's ports is. */
export interface PortStatus {
  /** What is served there: `tls`, `xds`, `admin`, … */
  readonly name: string;
  /** `host:port` as bound. */
  readonly address: string;
}

/** A certificate that something stops without. */
export interface CertificateStatus {
  /** `root`, `intermediate`, `control-plane`. */
  readonly name: string;
  readonly subject: string;
  readonly notAfterMs: number;
}

/** The control plane at a glance: what `weft status` prints. */
export interface StatusReport {
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly trustDomain: string;
  readonly ports: readonly PortStatus[];
  readonly certificates: readonly CertificateStatus[];
  readonly clients: readonly ClientStatus[];
  readonly workloads: readonly Workload[];
  readonly interfaces: readonly InterfaceStatus[];
  /** What clients ask for and what leads to something that can't be answered: they get the older form, or an incomplete one. */
  readonly unanswerable: readonly Unanswerable[];
  readonly diagnostics: readonly Diagnostic[];
}

/** The body of every answer that isn't a success. */
export interface ErrorBody {
  readonly diagnostics: readonly Diagnostic[];
}

/** What a role may do: a viewer reads, an editor changes resources too, an admin mints tokens too. */
export type Role = "viewer" | "editor" | "admin";

/** Who makes a request. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}
