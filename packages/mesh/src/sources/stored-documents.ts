import type { Diagnostic } from "../model/diagnostic.ts";
import { parseDocuments } from "../model/parse.ts";
import { type Resource, resourceKey } from "../model/resource.ts";
import type { ResourceKey, ResourceWrite, StoredResource } from "../store/records.ts";
import type { ResourceTable } from "../store/resources.ts";
import type { FileDocuments } from "./file-documents.ts";

/** What one kept document contributes. */
export interface StoredDocument {
  readonly stored: StoredResource;
  readonly resource: Resource | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/** A parsed resource as the store keeps it. */
export function writeFor(resource: Resource): ResourceWrite {
  const { kind, namespace, name, origin } = resource;
  return { kind, namespace, name, text: origin.text, file: origin.file, line: origin.line };
}

/**
 * A kept document, read again. Its diagnostics point into the file that it was applied from.
 *
 * A document was good when it was kept; where a later version of the program finds fault with it, it contributes nothing
 * but the diagnostics.
 */
function readStored(stored: StoredResource): StoredDocument {
  const { resources, diagnostics } = parseDocuments(stored.text, stored.file, {
    defaultNamespace: stored.namespace,
    firstLine: stored.line,
  });
  const own = resources.find((resource) => resourceKey(resource) === storeKey(stored));
  if (own === undefined) return { stored, resource: undefined, diagnostics };
  // Rivals are heard by age; a document without a time of its own is as old as its first apply.
  const resource = own.createdAtMs === 0 ? { ...own, createdAtMs: stored.createdMs } : own;
  return { stored, resource, diagnostics };
}

/** The kept documents, each read once for each of its revisions. */
export class StoredDocuments {
  readonly #table: ResourceTable;
  #documents: ReadonlyMap<string, StoredDocument> = new Map();
  #revision = -1;

  constructor(table: ResourceTable) {
    this.#table = table;
  }

  /** All that the store holds now. */
  read(): readonly StoredDocument[] {
    const revision = this.#table.revision();
    if (revision !== this.#revision) {
      const documents = new Map<string, StoredDocument>();
      for (const row of this.#table.list()) {
        const key = storeKey(row);
        const known = this.#documents.get(key);
        documents.set(key, known?.stored.revision === row.revision ? known : readStored(row));
      }
      this.#documents = documents;
      this.#revision = revision;
    }
    return [...this.#documents.values()];
  }

  /** As of the last `read`. */
  get(key: string): StoredDocument | undefined {
    return this.#documents.get(key);
  }
}

/** What files last said well before this process started, by file: what a document that is still wrong falls back to. */
export function readLastGood(documents: readonly ResourceWrite[]): Map<string, FileDocuments> {
  const files = new Map<string, FileDocuments>();
  for (const { file, namespace, text, line } of documents) {
    const { resources } = parseDocuments(text, file, { defaultNamespace: namespace, firstLine: line });
    const known = files.get(file)?.resources ?? [];
    files.set(file, { text: undefined, resources: [...known, ...resources], kept: [], diagnostics: [] });
  }
  return files;
}

/** The key of a kept document, in the form that `resourceKey` gives. */
export function storeKey({ kind, namespace, name }: ResourceKey): string {
  return `${kind}/${namespace}/${name}`;
}
