// The suite's headers as each stack's metadata. Bytes stand in base64 in the suite's messages.
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@weft/grpc";
import type { Metadata as GrpcJsMetadata } from "@weft/grpc/grpc-js";
import { Status as RpcStatus } from "@weft/xds-api/google/rpc/status";
import { type Header, headerSchema, type SuiteError } from "./messages.ts";

export const detailsHeader = "grpc-status-details-bin";

/** Name and value of each header, bytes as bytes. */
export function* entriesOf(headers: readonly Header[]): Generator<[string, string | Buffer]> {
  for (const { name, value: values } of headers) {
    for (const value of values) yield [name, name.endsWith("-bin") ? Buffer.from(value, "base64") : value];
  }
}

export function metadataOf(headers: readonly Header[]): Metadata {
  return new Metadata(entriesOf(headers));
}

/** Names with all their values, as the suite writes them. */
export function headersOf(entries: Iterable<readonly [string, string | Uint8Array]>): Header[] {
  const byName = new Map<string, string[]>();
  for (const [name, value] of entries) {
    const text = typeof value === "string" ? value : Buffer.from(value).toString("base64").replace(/=+$/, "");
    byName.set(name, [...(byName.get(name) ?? []), text]);
  }
  return [...byName].map(([name, value]) => create(headerSchema, { name, value }));
}

/** Name and value of each entry of grpc-js's metadata. */
export function* pairsOf(metadata: GrpcJsMetadata): Generator<[string, string | Buffer]> {
  for (const name of Object.keys(metadata.getMap())) for (const value of metadata.get(name)) yield [name, value];
}

/** `error` as the bytes of `grpc-status-details-bin`. */
export function statusBytes({ code, message = "", details }: SuiteError): Uint8Array {
  const any = details.map(({ typeUrl, value }) => ({ typeUrl, value: Buffer.from(value) }));
  return RpcStatus.encode({ code, message, details: any }).finish();
}

/** The details of `grpc-status-details-bin`; none for what isn't one. */
export function detailsOf(bytes: Uint8Array | undefined): { typeUrl: string; value: Uint8Array }[] {
  return bytes === undefined ? [] : RpcStatus.decode(bytes).details;
}

/** The one message among `requests`. */
export async function onlyOf<Request>(requests: AsyncIterable<Request>): Promise<Request> {
  const all: Request[] = [];
  for await (const request of requests) all.push(request);
  if (all.length !== 1) throw new Error(`${all.length} requests for a method that takes one`);
  return all[0]!;
}
