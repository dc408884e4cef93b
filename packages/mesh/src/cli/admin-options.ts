import { type AdminClient, connectAdmin } from "../admin/client.ts";
import { type Diagnostic, formatDiagnostic } from "../model/diagnostic.ts";
import { printable } from "./output.ts";

/** The admin API of the control plane that keeps its state in `data`. */
export function admin(data: string): AdminClient {
  return connectAdmin(data);
}

/** Prints diagnostics to standard error, one a line, as compilers do: `file:line:column: error WEFT0010: …`. */
export function printDiagnostics(diagnostics: readonly Diagnostic[]): void {
  for (const diagnostic of diagnostics) process.stderr.write(`${printable(formatDiagnostic(diagnostic))}\n`);
}
