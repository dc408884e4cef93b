import { compareDiagnostics, type Diagnostic } from "../model/diagnostic.ts";
import type { Resource } from "../model/resource.ts";
import type { OperationDiagnostic } from "../store/diagnostic-codes.ts";

/** Those of `diagnostics` that lie in the documents of these resources. */
export function diagnosticsAbout<T extends Diagnostic | OperationDiagnostic>(
  resources: readonly Resource[],
  diagnostics: readonly T[],
): readonly T[] {
  return diagnostics.filter(({ at }) =>
    resources.some(({ origin: { file, line, text } }) => {
      return file === at.file && at.line >= line && at.line < line + text.split("\n").length;
    }),
  );
}

/** Each of them once, in order of place. */
export function sortedDiagnostics(
  diagnostics: readonly (Diagnostic | OperationDiagnostic)[],
): readonly OperationDiagnostic[] {
  const unique = new Map(diagnostics.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic]));
  // Ordering looks at places, codes and messages as texts; it doesn't mind which table a code is from.
  return [...unique.values()].sort((a, b) => compareDiagnostics(a as Diagnostic, b as Diagnostic));
}

export function sameDiagnostics(a: readonly OperationDiagnostic[], b: readonly OperationDiagnostic[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
