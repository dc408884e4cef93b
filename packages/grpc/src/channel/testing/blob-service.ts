import type { RpcError } from "../../rpc/error.ts";

const identity = (bytes: Buffer): Buffer => bytes;

function method<const Name extends string, const In extends boolean, const Out extends boolean>(
  name: Name,
  requestStream: In,
  responseStream: Out,
) {
  return {
    path: `/test.Blob/${name}` as const,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

/** A service of bare bytes with the four kinds of calls, as grpc-js's loaders would describe it. */
export const blobService = {
  Unary: method("Unary", false, false),
  Download: method("Download", false, true),
  Upload: method("Upload", true, false),
  Exchange: method("Exchange", true, true),
};

/** The error that `promise` rejects with. Throws if it doesn't. */
export async function rejection(promise: Promise<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("it succeeded");
}
