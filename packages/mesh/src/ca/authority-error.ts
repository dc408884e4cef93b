import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import type { DiagnosticCode } from "../model/diagnostic-codes.ts";

/** Why an authority can't be opened: for whoever starts the program, not for a stack trace. */
export class AuthorityError extends Error {
  override readonly name = "AuthorityError";
  readonly diagnostic: Diagnostic;

  constructor(code: DiagnosticCode, message: string, about: { readonly file: string; readonly hint?: string }) {
    super(message);
    this.diagnostic = errorAbout(code, message, about);
  }
}
