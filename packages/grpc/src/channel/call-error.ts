import type { HeaderList } from "../http2/headers.ts";
import type { ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { MethodDescriptor } from "../rpc/service-definition.ts";
import { statusName } from "../rpc/status.ts";

/** A call's status as the error that its caller gets. */
export function callError(status: number, details: string, trailers: HeaderList, cause: unknown): RpcError {
  return new RpcError(statusName(status), details, {
    cause,
    ...(trailers.length === 0 ? {} : { metadata: Metadata.received(trailers) }),
  });
}

/** The message in `bytes`; undefined, and the call ended with INTERNAL, where there is none in it. */
export function decodeResponse(method: MethodDescriptor, bytes: Buffer, call: ClientCall): unknown {
  try {
    return method.decodeResponse(bytes);
  } catch (error) {
    call.cancel("INTERNAL", `the response of ${method.path} can't be decoded: ${RpcError.from(error).details}`, error);
    return undefined;
  }
}

/** The bytes of a request. Throws an RpcError where the message can't be encoded. */
export function encodeRequest(method: MethodDescriptor, message: unknown): Uint8Array {
  try {
    return method.encodeRequest(message);
  } catch (error) {
    const why = RpcError.from(error).details;
    throw new RpcError("INTERNAL", `the request of ${method.path} can't be encoded: ${why}`, { cause: error });
  }
}
