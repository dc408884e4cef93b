import { Metadata as GrpcJsMetadata } from "@grpc/grpc-js";
import type { HeaderList } from "../http2/headers.ts";
import { decodeBinaryValue } from "../rpc/binary-value.ts";
import { isTransportHeader, Metadata } from "../rpc/metadata.ts";

/** Received headers as grpc-js's Metadata, without the protocol's own. What grpc-js can't hold is left out, as it does itself. */
export function grpcJsMetadata(headers: HeaderList): GrpcJsMetadata {
  const metadata = new GrpcJsMetadata();
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index]!;
    if (isTransportHeader(name)) continue;
    const value = headers[index + 1]!;
    try {
      if (name.endsWith("-bin")) addBinary(metadata, name, value);
      else metadata.add(name, value);
    } catch {
      // A peer may send characters that grpc-js's Metadata refuses; the rest of its headers are still good.
    }
  }
  return metadata;
}

/** grpc-js's Metadata in the form that our calls send. */
export function wireMetadata(metadata: GrpcJsMetadata): Metadata {
  const headers: string[] = [];
  const byName = metadata.toHttp2Headers();
  for (const name in byName) {
    const values = byName[name];
    if (Array.isArray(values)) for (const value of values) headers.push(name, wireValue(name, value));
    else if (values !== undefined) headers.push(name, wireValue(name, String(values)));
  }
  return Metadata.received(headers);
}

/** grpc-js pads its base64; senders shouldn't (PROTOCOL-HTTP2, "Custom-Metadata"). */
function wireValue(name: string, value: string): string {
  return name.endsWith("-bin") && value.endsWith("=") ? value.slice(0, value.indexOf("=")) : value;
}

function addBinary(metadata: GrpcJsMetadata, name: string, text: string): void {
  for (const part of text.split(",")) {
    const bytes = decodeBinaryValue(part);
    if (bytes !== undefined) metadata.add(name, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
}
