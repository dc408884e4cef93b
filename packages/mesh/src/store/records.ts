// What the store keeps, as values. Everything here is plain data: no record holds a secret, only hashes of secrets.

/** The name of a resource, unique in the mesh. */
export interface ResourceKey {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** One document as somebody applied it. */
export interface StoredResource extends ResourceKey {
  /** The document's own text, byte for byte, without its neighbours in the file. */
  readonly text: string;
  /** Where it came from, for diagnostics: the file's name as the one who applied it gave it, and the document's first line there. */
  readonly file: string;
  readonly line: number;
  /** The store's revision at which it last changed. */
  readonly revision: number;
  /** 1 when created, one more with every change of its text. */
  readonly generation: number;
  readonly createdMs: number;
  readonly updatedMs: number;
}

/** A document to be kept. */
export interface ResourceWrite extends ResourceKey {
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

export type ResourceChange = "created" | "configured" | "unchanged" | "deleted";

/** What one resource of a batch went through. */
export interface ResourceOutcome extends ResourceKey {
  readonly change: ResourceChange;
  readonly generation: number;
}

/** What a batch did: all of it is on disk when this is returned. */
export interface BatchOutcome {
  readonly revision: number;
  readonly outcomes: readonly ResourceOutcome[];
}

/** A live registration as it survives a restart of the control plane. The record is JSON that its owner (registry/) gives meaning to. */
export interface StoredRegistration {
  readonly id: string;
  readonly record: string;
  readonly lastSeenMs: number;
}

/** Who owns an interface's name: the namespace that exported it first. */
export interface InterfaceOwner {
  readonly name: string;
  readonly namespace: string;
  readonly sinceMs: number;
}

/** One line of the audit log. */
export interface AuditEntry {
  readonly atMs: number;
  /** Who did it: a SPIFFE id, an admin's name, or `weft` itself. */
  readonly principal: string;
  /** What was tried: `apply`, `token.create`, `registration`, … */
  readonly action: string;
  readonly subject: string;
  readonly outcome: "allowed" | "refused";
  readonly detail: string;
}
