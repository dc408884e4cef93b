import { stringify } from "yaml";
import type { Diagnostic } from "./diagnostic.ts";
import { compareDiagnostics } from "./diagnostic.ts";
import { readResource } from "./read-resource.ts";
import type { Report } from "./report.ts";
import { type Resource, resourceKey } from "./resource.ts";
import { type FieldPath, readYaml, textLimits, type YamlDocument } from "./yaml-text.ts";

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
  /** The keys (`resourceKey`) of the documents with errors; undefined for one that doesn't say which resource it is. */
  readonly refused: readonly (string | undefined)[];
  /** In the order of the text. */
  readonly diagnostics: readonly Diagnostic[];
}

const maxFindingsPerDocument = 100;
const maxDiagnostics = 1000;

/**
 * Reads YAML (or JSON) documents, also those inside a v1 List. A document with an error is left out and the others stay;
 * of two with the same key the first stays. Never throws.
 */
export function parseDocuments(text: string, file: string, options: ParseOptions): ParsedDocuments {
  const yaml = readYaml(text, file, options.firstLine);
  const resources = new Map<string, Resource>();
  const diagnostics: Diagnostic[] = [...yaml.diagnostics];
  const refused: (string | undefined)[] = yaml.diagnostics.map(() => undefined);
  for (const document of yaml.documents) {
    for (const item of itemsOf(document)) {
      const findings = new Findings(item, diagnostics);
      const read = readResource(item.value, options.defaultNamespace, findings.report);
      if (read === undefined || findings.hasErrors) {
        refused.push(read && resourceKey(read));
        continue;
      }
      const resource: Resource = { ...read, origin: originOf(item, file) };
      const key = resourceKey(resource);
      const earlier = resources.get(key)?.origin.range;
      if (earlier === undefined) resources.set(key, resource);
      else {
        const message = `${key} is already defined in line ${earlier.line}`;
        findings.report({ severity: "error", code: "WEFT0007", message, path: ["metadata", "name"] });
      }
    }
  }
  return { resources: [...resources.values()], refused, diagnostics: firstOf(diagnostics.sort(compareDiagnostics)) };
}

/** A page of faults helps somebody, a hundred thousand only fill memory. */
function firstOf(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const last = diagnostics[maxDiagnostics - 1];
  if (last === undefined || diagnostics.length === maxDiagnostics) return diagnostics;
  const more = `${last.message}; ${diagnostics.length - maxDiagnostics} more are not listed`;
  return [...diagnostics.slice(0, maxDiagnostics - 1), { ...last, message: more }];
}

/** One resource to be: a document, or an item of a List in one. */
interface Item {
  readonly document: YamlDocument;
  readonly path: FieldPath;
  readonly value: unknown;
}

function itemsOf(document: YamlDocument): Item[] {
  const { value } = document;
  if (typeof value === "object" && value !== null && "kind" in value && value.kind === "List") {
    const items = "apiVersion" in value && value.apiVersion === "v1" && "items" in value ? value.items : undefined;
    if (Array.isArray(items) && items.length <= textLimits.documents) {
      return items.map((item: unknown, index) => ({ document, path: ["items", index], value: item }));
    }
  }
  return [{ document, path: [], value }];
}

function originOf({ document, path, value }: Item, file: string): Resource["origin"] {
  const range = document.locate(path);
  if (path.length === 0) return { file, line: document.line, text: document.text, isVerbatim: true, range };
  return { file, line: range.line, text: stringify(value), isVerbatim: false, range };
}

/** Turns one item's findings into diagnostics. */
class Findings {
  hasErrors = false;
  readonly #item: Item;
  readonly #diagnostics: Diagnostic[];
  #count = 0;

  constructor(item: Item, diagnostics: Diagnostic[]) {
    this.#item = item;
    this.#diagnostics = diagnostics;
  }

  readonly report: Report = ({ severity, code, message, path, hint, atKey }) => {
    this.hasErrors ||= severity === "error";
    this.#count++;
    if (this.#count > maxFindingsPerDocument) return;
    const isLast = this.#count === maxFindingsPerDocument;
    const at = this.#item.document.locate([...this.#item.path, ...path], atKey);
    const text = isLast ? `${message}; what follows in this document is not listed` : message;
    this.#diagnostics.push({ severity, code, message: text, at, ...(hint === undefined ? {} : { hint }) });
  };
}
