import type { Diagnostic } from "./diagnostic.ts";
import type { Resource } from "./resource.ts";

/** How a text is read. */
export interface ParseOptions {
  /** For documents without metadata.namespace. */
  readonly defaultNamespace: string;
  /** The line of the file on which the text begins; 1 unless the text was cut out of a file. */
  readonly firstLine?: number;
}

/** What a text holds: the documents without errors, and everything that is wrong with all of them. */
export interface ParsedDocuments {
  readonly resources: readonly Resource[];
  /** In the order of the text. */
  readonly diagnostics: readonly Diagnostic[];
}
