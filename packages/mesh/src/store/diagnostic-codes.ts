import type { Diagnostic, SourceRange } from "../model/diagnostic.ts";
import type { DiagnosticCode, DiagnosticDescription } from "../model/diagnostic-codes.ts";
import type { DatabaseProblem } from "./database.ts";

/** The codes of what the control plane's own parts find wrong; model/ has those of resources, and the ranges of both. */
export const operationCodes = {
  WEFT0201: { title: "a registration claims more than its credential allows" },
  WEFT0202: { title: "a registration is malformed or exceeds a limit" },
  WEFT0203: { title: "an address and port belong to another live instance" },
  WEFT0204: { title: "a node id belongs to another live instance" },
  WEFT0205: { title: "an interface's name is not valid" },
  WEFT0206: { title: "an interface's name is reserved" },
  WEFT0207: { title: "an interface's name is a host's name" },
  WEFT0208: { title: "an interface belongs to another namespace" },
  WEFT0209: { title: "the registry holds as many registrations as it may" },
  WEFT0301: { title: "the data directory is in use by another process" },
  WEFT0302: { title: "the store is damaged" },
  WEFT0303: { title: "the store was written by a newer version" },
  WEFT0304: { title: "the data directory can be read by other users" },
  WEFT0305: { title: "the data directory can't be used" },
  WEFT0306: { title: "a configuration directory or file can't be read" },
  WEFT0307: { title: "a configuration directory exceeds a limit" },
  WEFT0308: { title: "a resource of the store is hidden by a file" },
  WEFT0309: { title: "a file's resource is kept as it was last good" },
  WEFT0401: { title: "no such join token" },
  WEFT0402: { title: "a join token can't be made as asked" },
  WEFT0501: { title: "the request carries no valid credential" },
  WEFT0502: { title: "the request's Host or Origin is not this API's" },
  WEFT0503: { title: "the request lacks the X-Weft-Request header" },
  WEFT0504: { title: "the request is too large or malformed" },
  WEFT0505: { title: "no such resource or route" },
  WEFT0506: { title: "a file defines this resource, so it can't be changed here" },
  WEFT0507: { title: "the store could not be written" },
  WEFT0508: { title: "the role does not allow this" },
  WEFT0509: { title: "no control plane can be reached" },
  WEFT0510: { title: "the credential file can't be used" },
} as const satisfies Readonly<Record<string, DiagnosticDescription>>;

/** A code of the table above. */
export type OperationCode = keyof typeof operationCodes;

/** A diagnostic of the control plane as a whole: about a resource, or about an operation on it. */
export interface OperationDiagnostic extends Omit<Diagnostic, "code"> {
  readonly code: DiagnosticCode | OperationCode;
}

/** An error of an operation. What has no place in a text points at the first line of what it is about. */
export function operationError(
  code: OperationCode,
  message: string,
  about: { readonly file: string; readonly hint?: string | undefined; readonly at?: SourceRange },
): OperationDiagnostic {
  return {
    severity: "error",
    code,
    message,
    at: about.at ?? { file: about.file, line: 1, column: 1 },
    ...(about.hint === undefined ? {} : { hint: about.hint }),
  };
}

/** Why a store could not be opened, as a diagnostic. */
export function databaseDiagnostic(problem: DatabaseProblem): OperationDiagnostic {
  const codes = {
    locked: "WEFT0301",
    corrupt: "WEFT0302",
    newer: "WEFT0303",
    exposed: "WEFT0304",
    inaccessible: "WEFT0305",
  } as const;
  return operationError(codes[problem.kind], problem.message, { file: problem.path, hint: problem.hint });
}
