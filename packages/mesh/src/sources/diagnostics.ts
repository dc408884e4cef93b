import { compareDiagnostics, type Diagnostic } from "../model/diagnostic.ts";
import type { Resource } from "../model/resource.ts";

/** Those of `diagnostics` that lie in the documents of these resources. */
export function diagnosticsAbout(
  resources: readonly Resource[],
  diagnostics: readonly Diagnostic[],
): readonly Diagnostic[] {
  return diagnostics.filter(({ at }) =>
    resources.some(({ origin: { file, line, text } }) => {
      return file === at.file && at.line >= line && at.line < line + text.split("\n").length;
    }),
  );
}

/** Each of them once, in order of place. */
export function sortedDiagnostics(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const unique = new Map(diagnostics.map((diagnostic) => [JSON.stringify(diagnostic), diagnostic]));
  return [...unique.values()].sort(compareDiagnostics);
}

export function sameDiagnostics(a: readonly Diagnostic[], b: readonly Diagnostic[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
