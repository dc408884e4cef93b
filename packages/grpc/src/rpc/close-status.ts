import { errorCodeName, type Http2Error } from "../http2/error.ts";
import type { CallStatus } from "./response.ts";
import { Status, statusOfReset } from "./status.ts";

/** The status of a call whose stream ended without one. */
export function statusOfClose(error: Http2Error | undefined, peer: string): CallStatus {
  if (error === undefined) return { status: Status.INTERNAL, details: `${peer} ended the call without trailers` };
  if (error.unprocessed) return { status: Status.UNAVAILABLE, details: `${peer} refused the call: ${error.message}` };
  if (error.connection)
    return { status: Status.UNAVAILABLE, details: `the connection to ${peer} broke: ${causeText(error)}` };
  const status = Status[statusOfReset(error.code)];
  if (!error.remote) return { status, details: `the stream to ${peer} failed: ${error.message}` };
  return { status, details: `${peer} reset the stream with ${errorCodeName(error.code)}` };
}

function causeText(error: Http2Error): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}
