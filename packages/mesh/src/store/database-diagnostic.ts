import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import type { DatabaseProblem } from "./database.ts";

const codes = {
  locked: "WEFT0301",
  corrupt: "WEFT0302",
  newer: "WEFT0303",
  exposed: "WEFT0304",
  inaccessible: "WEFT0305",
} as const;

/** Why a store could not be opened, as a diagnostic. */
export function databaseDiagnostic({ kind, message, path, hint }: DatabaseProblem): Diagnostic {
  return errorAbout(codes[kind], message, { file: path, hint });
}
