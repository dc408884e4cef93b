import type { DiagnosticCode } from "./diagnostic-codes.ts";

/** A place in a source text. Lines and columns count from 1; the end is exclusive. */
export interface SourceRange {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

/** Something that a user wrote and that is wrong or has no effect: a value, never thrown. An error keeps its document out of force. */
export interface Diagnostic {
  readonly severity: "error" | "warning";
  readonly code: DiagnosticCode;
  /** What is wrong, with which thing; lower case, no full stop. */
  readonly message: string;
  readonly at: SourceRange;
  /** What to do about it. */
  readonly hint?: string;
}

/** One line for a terminal or a log: `file:line:column: error WEFT0010: message (hint)`. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { at, severity, code, message, hint } = diagnostic;
  return `${at.file}:${at.line}:${at.column}: ${severity} ${code}: ${message}${hint === undefined ? "" : ` (${hint})`}`;
}

/** Order of a report: by file, line, column, then code and message. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  if (a.at.file !== b.at.file) return a.at.file < b.at.file ? -1 : 1;
  if (a.at.line !== b.at.line) return a.at.line - b.at.line;
  if (a.at.column !== b.at.column) return a.at.column - b.at.column;
  const [left, right] = [a.code + a.message, b.code + b.message];
  return left < right ? -1 : left > right ? 1 : 0;
}
