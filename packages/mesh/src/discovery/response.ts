import { createHash } from "node:crypto";
import { DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Resource } from "./resource-source.ts";

/** A DiscoveryResponse whose resources are already bytes. */
export interface EncodedResponse {
  readonly typeUrl: string;
  readonly versionInfo: string;
  readonly nonce: string;
  readonly resources: readonly Resource[];
}

/**
 * AggregatedDiscoveryService as the engine serves it: state of the world only, and responses are written around the
 * resources' own bytes instead of being encoded again for every stream.
 */
export const discoveryServiceDefinition = {
  name: "AggregatedDiscoveryService",
  fullName: "envoy.service.discovery.v3.AggregatedDiscoveryService",
  methods: {
    streamAggregatedResources: {
      name: "StreamAggregatedResources",
      requestType: DiscoveryRequest,
      requestStream: true,
      responseType: {
        encode: (response: EncodedResponse) => ({ finish: () => encodeResponse(response) }),
        /** For symmetry only: a server decodes no responses. The resources' hashes are unknown here. */
        decode(bytes: Uint8Array): EncodedResponse {
          const { typeUrl, versionInfo, nonce } = DiscoveryResponse.decode(bytes);
          return { typeUrl, versionInfo, nonce, resources: [] };
        },
      },
      responseStream: true,
      options: {},
    },
  },
} as const;

/** version_info: an opaque hash of (name, content hash) pairs, the same in every process that sends the same. */
export function versionOf(resources: readonly Resource[]): string {
  const hash = createHash("sha256");
  for (const resource of resources) hash.update(`${resource.name.length}:${resource.name}${resource.hash}`);
  return hash.digest("hex").slice(0, 16);
}

// Field numbers of DiscoveryResponse, as tags of the length-delimited wire type.
const versionInfoTag = 0x0a;
const resourcesTag = 0x12;
const typeUrlTag = 0x22;
const nonceTag = 0x2a;

/** The wire form of `response`: one allocation, one copy of each resource. */
export function encodeResponse(response: EncodedResponse): Uint8Array {
  const version = Buffer.from(response.versionInfo);
  const typeUrl = Buffer.from(response.typeUrl);
  const nonce = Buffer.from(response.nonce);
  let size = fieldSize(version) + fieldSize(typeUrl) + fieldSize(nonce);
  for (const resource of response.resources) size += fieldSize(resource.any);
  const out = new Uint8Array(size);
  let at = writeField(out, 0, versionInfoTag, version);
  for (const resource of response.resources) at = writeField(out, at, resourcesTag, resource.any);
  at = writeField(out, at, typeUrlTag, typeUrl);
  writeField(out, at, nonceTag, nonce);
  return out;
}

function fieldSize(value: Uint8Array): number {
  let prefix = 2;
  for (let rest = value.length; rest > 0x7f; rest >>>= 7) prefix++;
  return prefix + value.length;
}

function writeField(out: Uint8Array, start: number, tag: number, value: Uint8Array): number {
  let at = start;
  out[at++] = tag;
  let rest = value.length;
  for (; rest > 0x7f; rest >>>= 7) out[at++] = (rest & 0x7f) | 0x80;
  out[at++] = rest;
  out.set(value, at);
  return at + value.length;
}
