import type { DiagnosticCode } from "./diagnostic-codes.ts";
import type { FieldPath } from "./yaml-text.ts";

/** Something wrong with one field of a document; the document's reader knows the place. */
export interface Finding {
  readonly severity: "error" | "warning";
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly path: FieldPath;
  readonly hint?: string | undefined;
  /** Whether the key is meant and not its value. */
  readonly atKey?: boolean;
}

/** Where the findings of one document go. */
export type Report = (finding: Finding) => void;

/** A path as people write it: `spec.http[0].route`. */
export function formatPath(path: FieldPath): string {
  return path
    .map((segment, index) => {
      if (typeof segment === "number") return `[${segment}]`;
      if (!/^[\w-]+$/.test(segment)) return `[${JSON.stringify(segment)}]`;
      return index === 0 ? segment : `.${segment}`;
    })
    .join("");
}
