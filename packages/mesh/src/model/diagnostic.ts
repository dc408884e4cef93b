import type { DiagnosticCode } from "./diagnostic-codes.ts";

/** A place in a source text. Lines and columns count from 1; the end is exclusive. */
export interface SourceRange {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly endLine?: number;
  readonly endColumn?: number;
}

/**
 * Something that a user wrote or asked for and that is wrong or has no effect: a value, never thrown. An error keeps its
 * document out of force.
 */
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

/** An error of an operation. What has no place in a text points at the first line of what it is about. */
export function errorAbout(
  code: DiagnosticCode,
  message: string,
  about: { readonly file: string; readonly hint?: string | undefined; readonly at?: SourceRange },
): Diagnostic {
  return {
    severity: "error",
    code,
    message,
    at: about.at ?? { file: about.file, line: 1, column: 1 },
    ...(about.hint === undefined ? {} : { hint: about.hint }),
  };
}

/** Order of a report: by file, line, column, then code and message. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  if (a.at.file !== b.at.file) return a.at.file < b.at.file ? -1 : 1;
  if (a.at.line !== b.at.line) return a.at.line - b.at.line;
  if (a.at.column !== b.at.column) return a.at.column - b.at.column;
  const [left, right] = [a.code + a.message, b.code + b.message];
  return left < right ? -1 : left > right ? 1 : 0;
}
