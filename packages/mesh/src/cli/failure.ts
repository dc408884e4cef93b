import type { Diagnostic } from "../model/diagnostic.ts";

/**
 * What a command could not do, told to a person: thrown anywhere below a command, printed once at its end.
 *
 * `exitCode` 1: it was tried and failed; 2: it was asked for wrongly; others are what shells know.
 */
export class CommandFailure extends Error {
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(
    message: string,
    options: { readonly hint?: string | undefined; readonly exitCode?: number; readonly cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** A diagnostic as what a command failed with. */
export function diagnosticFailure({ code, message, hint }: Diagnostic, cause: unknown): CommandFailure {
  return new CommandFailure(`${code}: ${message}`, { hint, cause });
}
