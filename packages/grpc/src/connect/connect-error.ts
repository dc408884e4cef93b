import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Status as RpcStatus } from "@weft/xds-api/google/rpc/status";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import { protobufRuntime } from "../rpc/protobuf-runtime.ts";
import { statusName } from "../rpc/status.ts";
import { addTo, metadataOf } from "./headers.ts";

const detailsHeader = "grpc-status-details-bin";
const typeUrlPrefix = "type.googleapis.com/";

/**
 * What a call failed with, as connect-es's error: its code and message, the peer's details, and `headers` and the trailers
 * as its metadata.
 */
export function connectErrorOf(reason: unknown, headers?: Headers): ConnectError {
  if (!(reason instanceof RpcError)) return ConnectError.from(reason);
  const metadata = new Headers(headers);
  if (reason.metadata !== undefined) addTo(metadata, reason.metadata);
  // The codes of both are gRPC's numbers; OK is no error to connect-es.
  const code = reason.status === 0 ? Code.Unknown : (reason.status as Code);
  const error = new ConnectError(reason.details, code, metadata, undefined, reason);
  error.details = incomingDetails(reason.metadata?.get(detailsHeader));
  // A server that passes the error on must not send its own caller the metadata of another server.
  error.isWireError = reason.metadata !== undefined;
  return error;
}

/**
 * A ConnectError as this package's: what a handler throws so that its caller gets the code, message and details of a call
 * it made by connect-es. The metadata goes along only where it isn't another server's.
 */
export function rpcErrorOf(error: ConnectError): RpcError {
  const metadata = error.isWireError ? new Metadata() : metadataOf(error.metadata);
  metadata.delete(detailsHeader);
  if (error.details.length > 0) {
    const status = { code: error.code, message: error.rawMessage, details: error.details.map(anyOf) };
    metadata.set(detailsHeader, RpcStatus.encode(status).finish());
  }
  return new RpcError(statusName(error.code), error.rawMessage, { cause: error, metadata });
}

type Detail = ConnectError["details"][number];

function incomingDetails(bytes: Uint8Array | undefined): Detail[] {
  if (bytes === undefined) return [];
  try {
    return RpcStatus.decode(bytes).details.map(({ typeUrl, value }) => {
      return { type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1), value: new Uint8Array(value) };
    });
  } catch {
    // The call's status stands without them: details that can't be read must not hide it.
    return [];
  }
}

function anyOf(detail: Detail): { typeUrl: string; value: Uint8Array } {
  if ("type" in detail) return { typeUrl: typeUrlPrefix + detail.type, value: detail.value };
  return { typeUrl: typeUrlPrefix + detail.desc.typeName, value: encode(detail.desc, detail.value) };
}

function encode(desc: DescMessage, message: MessageInitShape<DescMessage>): Uint8Array {
  const { create, toBinary } = protobufRuntime();
  return toBinary(desc, create(desc, message));
}
