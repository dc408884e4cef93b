// From text to YAML documents with places. The library's own steps are called one by one, because the limits belong
// between them: its parser keeps a stack of its own, but composing recurses, looks for duplicate keys in quadratic time, and
// walks the whole document for every alias. So depth, size and aliases are checked on the tokens, and keys by us.

import {
  Composer,
  type CST,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  Parser,
} from "yaml";
import type { Diagnostic, SourceRange } from "./diagnostic.ts";
import type { DiagnosticCode } from "./diagnostic-codes.ts";

/** What a text may hold; more is refused before it costs anything. */
export const textLimits = {
  characters: 2 * 1024 * 1024,
  documents: 20_000,
  documentCharacters: 1024 * 1024,
  /** Entries of maps and lists in a document. */
  entries: 250_000,
  depth: 64,
  /** Aliases in a document, and how often they may multiply what they name. */
  aliases: 100,
} as const;

/** The way to a field: keys and indexes. */
export type FieldPath = readonly (string | number)[];

/** One document of a text. */
export interface YamlDocument {
  /** Plain JSON: no cycles, nothing shared. */
  readonly value: unknown;
  /** The document as written. */
  readonly text: string;
  /** The line of the file on which `text` begins. */
  readonly line: number;
  /** Where the field at `path` stands, or the nearest thing that contains it. With `key`, the place of the key itself. */
  locate(path: FieldPath, key?: boolean): SourceRange;
}

/** The documents of a text that can be read, and what is wrong with the others. Empty documents are left out. */
export interface YamlText {
  readonly documents: readonly YamlDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Reads the documents of `text`; `firstLine` is its line in `file`. Never throws. */
export function readYaml(text: string, file: string, firstLine = 1): YamlText {
  const documents: YamlDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  const lines = new LineCounter();
  const rangeOf = (start: number, end: number): SourceRange => {
    const from = lines.linePos(start);
    const to = lines.linePos(Math.max(start, end));
    const shift = firstLine - 1;
    return { file, line: from.line + shift, column: from.col, endLine: to.line + shift, endColumn: to.col };
  };
  const refuse = (code: DiagnosticCode, message: string, at: SourceRange, hint?: string): void => {
    diagnostics.push({ severity: "error", code, message, at, ...(hint === undefined ? {} : { hint }) });
  };
  const start: SourceRange = { file, line: firstLine, column: 1 };
  if (text.length > textLimits.characters) {
    refuse(
      "WEFT0002",
      `the text has more than ${textLimits.characters} characters`,
      start,
      "split it into several files",
    );
    return { documents, diagnostics };
  }

  const composer = new Composer({
    version: "1.2",
    schema: "core",
    logLevel: "silent",
    prettyErrors: false,
    uniqueKeys: false,
  });
  let count = 0;
  const take = (document: Document.Parsed): void => {
    const [from, , to] = document.range;
    const error = document.errors[0];
    if (error !== undefined) {
      refuse("WEFT0001", yamlMessage(error.message), rangeOf(error.pos[0], error.pos[1]));
      return;
    }
    if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return;
    if (++count > textLimits.documents) {
      if (count === textLimits.documents + 1)
        refuse("WEFT0002", `the text has more than ${textLimits.documents} documents`, rangeOf(from, from));
      return;
    }
    const repeated = repeatedKey(document);
    if (repeated !== undefined) {
      refuse("WEFT0001", "map keys must be unique", rangeOf(...repeated));
      return;
    }
    const value = plainValue(document);
    if (value.kind === "refused") {
      refuse(value.code, value.message, rangeOf(from, from));
      return;
    }
    documents.push({
      value: value.value,
      text: text.slice(lineStart(text, from), to),
      line: rangeOf(from, from).line,
      locate: (path, key = false) => rangeOf(...(nodeRange(document, path, key) ?? [from, from])),
    });
  };

  try {
    const tokens = [...new Parser(lines.addNewLine).parse(text)];
    for (const [index, token] of tokens.entries()) {
      if (token.type === "directive") {
        refuse("WEFT0001", "directives are not taken", rangeOf(token.offset, token.offset + token.source.length));
        continue;
      }
      const excess = token.type === "document" ? excessOf(token, tokens[index + 1]?.offset ?? text.length) : undefined;
      if (excess !== undefined) {
        refuse("WEFT0002", `the document ${excess.what}`, rangeOf(excess.offset, excess.offset));
        continue;
      }
      for (const document of composer.next(token)) take(document);
    }
    for (const document of composer.end()) take(document);
  } catch (error) {
    // The library throws on a few malformed texts instead of collecting (it is data from outside, so it's a diagnostic).
    refuse("WEFT0001", `the text cannot be read: ${error instanceof Error ? error.message : String(error)}`, start);
  }
  return { documents, diagnostics };
}

/** The start of the line at `offset` where only blanks stand before it: a document's indentation belongs to it. */
function lineStart(text: string, offset: number): number {
  let start = offset;
  while (start > 0 && text[start - 1] === " ") start--;
  return start === 0 || text[start - 1] === "\n" ? start : offset;
}

function yamlMessage(message: string): string {
  const line = message.split("\n", 1)[0] ?? message;
  return line.charAt(0).toLowerCase() + line.slice(1);
}

/** Where and how a document, which ends at `end`, exceeds a limit; undefined where it doesn't. Without recursion. */
function excessOf(document: CST.Document, end: number): { readonly what: string; readonly offset: number } | undefined {
  if (end - document.offset > textLimits.documentCharacters) {
    return { what: `has more than ${textLimits.documentCharacters} characters`, offset: document.offset };
  }
  let entries = 0;
  let aliases = 0;
  const stack: [CST.Token, number][] = document.value === undefined ? [] : [[document.value, 1]];
  for (let entry = stack.pop(); entry !== undefined; entry = stack.pop()) {
    const [token, depth] = entry;
    const { offset } = token;
    if (depth > textLimits.depth) return { what: `nests deeper than ${textLimits.depth}`, offset };
    if (token.type === "alias" && ++aliases > textLimits.aliases) {
      return { what: `has more than ${textLimits.aliases} aliases`, offset };
    }
    if (!("items" in token)) continue;
    entries += token.items.length;
    if (entries > textLimits.entries) return { what: `has more than ${textLimits.entries} entries`, offset };
    for (const item of token.items) {
      if (item.key) stack.push([item.key, depth + 1]);
      if (item.value) stack.push([item.value, depth + 1]);
    }
  }
  return undefined;
}

/** The place of a key that its map has twice, or undefined. */
function repeatedKey(document: Document.Parsed): [number, number] | undefined {
  const stack: unknown[] = [document.contents];
  while (stack.length > 0) {
    const node = stack.pop();
    if (isSeq(node)) for (const item of node.items) stack.push(item);
    if (!isMap(node)) continue;
    const keys = new Set<string>();
    for (const { key, value } of node.items) {
      // By text: 1 and "1" become the same key of the value.
      const name = isScalar(key) ? String(key.value) : undefined;
      if (name !== undefined && keys.has(name)) return rangeOfNode(key) ?? [0, 0];
      if (name !== undefined) keys.add(name);
      stack.push(key, value);
    }
  }
  return undefined;
}

type PlainValue =
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "refused"; readonly code: DiagnosticCode; readonly message: string };

function plainValue(document: Document.Parsed): PlainValue {
  try {
    const value: unknown = document.toJS({ maxAliasCount: textLimits.aliases });
    // Through JSON: an alias may name its own parent, and what aliases share would be changed in several places at once.
    const json = JSON.stringify(value);
    if (json.length > 4 * textLimits.documentCharacters) {
      return { kind: "refused", code: "WEFT0002", message: "the document's aliases expand to too much" };
    }
    return { kind: "value", value: JSON.parse(json) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (message.includes("alias count")) {
      return { kind: "refused", code: "WEFT0002", message: "the document's aliases expand to too much" };
    }
    if (message.includes("circular")) {
      return { kind: "refused", code: "WEFT0001", message: "an alias names something that contains it" };
    }
    return { kind: "refused", code: "WEFT0001", message: yamlMessage(message) };
  }
}

function nodeRange(document: Document.Parsed, path: FieldPath, key: boolean): [number, number] | undefined {
  let node = resolveAlias(document.contents, document);
  let range = rangeOfNode(node);
  for (const [index, segment] of path.entries()) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(segment));
      if (pair === undefined) return range;
      const keyRange = rangeOfNode(pair.key);
      if (key && index === path.length - 1) return keyRange ?? range;
      range = rangeOfNode(pair.value) ?? keyRange ?? range;
      node = resolveAlias(pair.value, document);
    } else if (isSeq(node) && typeof segment === "number") {
      const item: unknown = node.items[segment];
      range = rangeOfNode(item) ?? range;
      node = resolveAlias(item, document);
    } else return range;
  }
  return range;
}

function resolveAlias(node: unknown, document: Document.Parsed): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

/** A scalar's whole extent; of a collection only the start, since nobody wants a page underlined. */
function rangeOfNode(node: unknown): [number, number] | undefined {
  if (!isNode(node)) return undefined;
  const { range }: Node = node;
  if (!range) return undefined;
  return isScalar(node) || isAlias(node) ? [range[0], range[1]] : [range[0], range[0]];
}
