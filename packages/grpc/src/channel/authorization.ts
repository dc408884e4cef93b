import type { CallCredentials, CredentialsContext } from "../rpc/call-credentials.ts";
import type { CallHead } from "../rpc/call-head.ts";
import type { ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { StatusName } from "../rpc/status.ts";

/** Codes that say something of the request, which credentials can't know: an application would take them for the server's (gRFC A54). */
const notForCredentials: ReadonlySet<StatusName> = new Set([
  "OK",
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "DATA_LOSS",
]);

/** Asks `all` for the metadata that proves who calls, one beside the other. Rejects with an RpcError for the call. */
export async function credentialsMetadata(head: CallHead, all: readonly CallCredentials[]): Promise<Metadata> {
  const context = contextOf(head);
  const metadata = new Metadata();
  try {
    const made = await Promise.all(all.map(async (credentials) => credentials(context)));
    for (const each of made) metadata.merge(each);
  } catch (error) {
    throw failureOf(error);
  }
  return metadata;
}

/** Gives `call` its credentials' metadata and goes on with it, or fails it. */
export function authorize(call: ClientCall, all: readonly CallCredentials[], goOn: () => void): void {
  credentialsMetadata(call.head, all).then(
    (metadata) => {
      if (call.isEnded) return;
      call.credentialsMetadata = metadata;
      goOn();
    },
    (error: unknown) => call.fail(RpcError.from(error)),
  );
}

function contextOf({ path, authority }: CallHead): CredentialsContext {
  const host = authority.replace(/:443$/, "");
  return { path, authority, serviceUrl: `https://${host}${path.slice(0, path.lastIndexOf("/"))}` };
}

function failureOf(error: unknown): RpcError {
  const from = RpcError.from(error);
  const details = `the call's credentials failed: ${from.details}`;
  if (!(error instanceof RpcError)) return new RpcError("UNAUTHENTICATED", details, { cause: error });
  return notForCredentials.has(error.code)
    ? new RpcError("INTERNAL", `${details} (${error.code})`, { cause: error })
    : new RpcError(error.code, details, { cause: error });
}
