import { Code, ConnectError } from "@connectrpc/connect";
import { decodeBinaryValue, encodeBinaryValue } from "../rpc/binary-value.ts";
import { isTransportHeader, Metadata } from "../rpc/metadata.ts";

/**
 * Request headers as metadata; a name's several values stay one, joined by commas, as fetch's Headers keep them.
 *
 * Left out is what the transport says itself: gRPC's own headers, `user-agent` and `host`. Throws a ConnectError where
 * gRPC can't carry a value.
 */
export function metadataOf(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of headers) {
    if (isTransportHeader(name) || name === "user-agent" || name === "host") continue;
    if (name.endsWith("-bin")) for (const part of value.split(",")) metadata.append(name, bytesOf(name, part));
    else appendText(metadata, name, value);
  }
  return metadata;
}

/** Adds what a peer sent to `headers`; bytes in base64, as connect-es's `decodeBinaryHeader` reads them. */
export function addTo(headers: Headers, metadata: Metadata): void {
  for (const [name, value] of metadata) {
    headers.append(name, typeof value === "string" ? value : encodeBinaryValue(value));
  }
}

function bytesOf(name: string, text: string): Uint8Array {
  const bytes = decodeBinaryValue(text.trim());
  if (bytes === undefined) throw new ConnectError(`the header ${name} isn't base64`, Code.InvalidArgument);
  return bytes;
}

function appendText(metadata: Metadata, name: string, value: string): void {
  try {
    metadata.append(name, value);
  } catch (error) {
    throw ConnectError.from(error, Code.InvalidArgument);
  }
}
