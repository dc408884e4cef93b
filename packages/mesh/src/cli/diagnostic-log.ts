import type { Diagnostic } from "../model/diagnostic.ts";

/** What a report of diagnostics says that the one before did not. */
export interface DiagnosticNews {
  readonly found: readonly Diagnostic[];
  /** Those that are gone. */
  readonly solved: readonly Diagnostic[];
}

/** Compares each report with the one before, so that a log tells what happened and not all that is the case, again and again. */
export class DiagnosticLog {
  #known = new Map<string, Diagnostic>();

  next(report: readonly Diagnostic[]): DiagnosticNews {
    const before = this.#known;
    this.#known = new Map(report.map((diagnostic) => [identityOf(diagnostic), diagnostic]));
    return {
      found: [...this.#known].filter(([key]) => !before.has(key)).map(([, diagnostic]) => diagnostic),
      solved: [...before].filter(([key]) => !this.#known.has(key)).map(([, diagnostic]) => diagnostic),
    };
  }
}

/** Without the line: a text that moves is no news. */
function identityOf({ severity, code, message, at }: Diagnostic): string {
  return JSON.stringify([severity, code, message, at.file]);
}
