import { AdminError } from "../admin/client.ts";
import { AuthorityError } from "../ca/authority-error.ts";
import { errorAbout } from "../model/diagnostic.ts";
import { CommandFailure, diagnosticFailure } from "./failure.ts";
import { portHolder } from "./port-holder.ts";

/** What Node says of a call to the system that failed. */
interface SystemError extends Error {
  readonly code: string;
  readonly syscall: string;
  readonly address?: string;
  readonly port?: number;
}

/**
 * What the world did to a command, in a person's words; undefined for what is no one's doing but ours, whose stack trace
 * is worth showing.
 */
export function explainFailure(error: unknown): CommandFailure | undefined {
  if (error instanceof CommandFailure) return error;
  if (error instanceof AuthorityError) return diagnosticFailure(error.diagnostic, error);
  if (error instanceof AdminError) {
    const [first] = error.diagnostics;
    return first === undefined ? new CommandFailure(error.message) : diagnosticFailure(first, error);
  }
  if (!(error instanceof Error)) return undefined;
  // A server's own words for an address that it can't listen on have the system's beneath them.
  if (error.cause instanceof Error && isSystemError(error.cause) && isListening(error.cause)) {
    return listenFailure(error.cause);
  }
  // By name: importing their classes would load the transport and the database for every command.
  if (error.name === "RpcError" && "details" in error) {
    return new CommandFailure(String(error.details), { cause: error });
  }
  if (error.name === "StoreError") {
    return diagnosticFailure(
      errorAbout("WEFT0507", error.message, { file: "", hint: "see to free space on its disk" }),
      error,
    );
  }
  if (!isSystemError(error)) return undefined;
  return isListening(error) ? listenFailure(error) : fileFailure(error);
}

function isListening({ syscall }: SystemError): boolean {
  return syscall === "listen" || syscall === "bind";
}

function isSystemError(error: Error): error is SystemError {
  return "code" in error && typeof error.code === "string" && "syscall" in error && typeof error.syscall === "string";
}

/** Why an address can't be listened on; a taken port names its holder where the system tells. */
function listenFailure(error: SystemError): CommandFailure {
  const { code, address = "", port } = error;
  const where =
    port === undefined || port < 0 ? address : `${address.includes(":") ? `[${address}]` : address}:${port}`;
  if (code === "EADDRINUSE") {
    const holder = port === undefined ? undefined : portHolder(port);
    const message = `${where} is taken${holder === undefined ? "" : ` by ${holder}`}`;
    const hint = 'stop that one, or choose another port; "auto" takes any free one';
    return diagnosticFailure(errorAbout("WEFT0313", message, { file: where, hint }), error);
  }
  const reasons: Readonly<Record<string, readonly [reason: string, hint: string]>> = {
    EACCES: ["this user may not", "ports below 1024 are for root, as a rule"],
    EADDRNOTAVAIL: ["it is no address of this machine", "127.0.0.1 and ::1 always are"],
    EINVAL: ["the system takes no such address", "a unix socket's path has 107 characters at most"],
  };
  const [reason, hint] = reasons[code] ?? [error.message, undefined];
  return diagnosticFailure(errorAbout("WEFT0314", `can't listen on ${where}: ${reason}`, { file: where, hint }), error);
}

function fileFailure(error: SystemError): CommandFailure {
  const path = "path" in error && typeof error.path === "string" ? error.path : error.syscall;
  return diagnosticFailure(errorAbout("WEFT0315", error.message, { file: path }), error);
}
