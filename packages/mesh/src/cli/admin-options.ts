import type { OperationDiagnostic } from "../admin/api-types.ts";
import { type AdminClient, type AdminError, connectAdmin } from "../admin/client.ts";
import { type Diagnostic, formatDiagnostic } from "../model/diagnostic.ts";
import { CommandFailure } from "./failure.ts";

/** The admin API of the control plane that keeps its state in `data`. */
export function admin(data: string): AdminClient {
  return connectAdmin(data);
}

/** Prints diagnostics to standard error, one a line, as compilers do: `file:line:column: error WEFT0010: …`. */
export function printDiagnostics(diagnostics: readonly OperationDiagnostic[]): void {
  // The two tables of codes differ in nothing that printing looks at.
  for (const diagnostic of diagnostics) process.stderr.write(`${formatDiagnostic(diagnostic as Diagnostic)}\n`);
}

/** An admin error in a command's words. */
export function adminFailure(error: AdminError): CommandFailure {
  const [first] = error.diagnostics;
  const hint = first?.hint;
  return new CommandFailure(first === undefined ? error.message : `${first.code}: ${first.message}`, {
    cause: error,
    ...(hint === undefined ? {} : { hint }),
  });
}
