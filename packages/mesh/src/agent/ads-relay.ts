import { type Channel, createClient, type ServerContext } from "@weft/grpc";
import type { ControlPlane } from "@weft/grpc/platform";

/** Messages go through as bytes: what a newer client or control plane adds is none of the agent's business. */
const owned = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

const stream = {
  requestStream: true,
  responseStream: true,
  requestSerialize: (bytes: Buffer) => bytes,
  requestDeserialize: owned,
  responseSerialize: (bytes: Buffer) => bytes,
  responseDeserialize: owned,
} as const;

/** AggregatedDiscoveryService, state of the world, undecoded. */
export const adsBytes = {
  streamAggregatedResources: {
    path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources",
    ...stream,
  },
} as const;

/** InterfaceRegistry, undecoded: an application with our SDK registers through the agent. */
export const registryBytes = {
  session: { path: "/weft.registry.v1.InterfaceRegistry/Session", ...stream },
} as const;

type Relay = (requests: AsyncIterable<Buffer>, context: ServerContext) => AsyncIterable<Buffer>;

/**
 * Handles each of the application's ADS streams by one of its own over `controlPlane`'s authenticated channel.
 *
 * Any number at once: gRPC opens one per target since gRFC A71. When the control plane goes away the stream ends with
 * UNAVAILABLE; the application keeps its configuration and comes back by its own back-off.
 */
export function adsRelay(controlPlane: ControlPlane): Relay {
  const upstream = createClient(adsBytes, controlPlane.channel);
  return (requests, context) =>
    upstream.streamAggregatedResources(requests, {
      metadata: controlPlane.callMetadata(),
      signal: context.signal,
    });
}

/** The same for registry sessions, over the channel that registrations take. */
export function registryRelay(channel: Channel): Relay {
  const upstream = createClient(registryBytes, channel);
  return (requests, context) => upstream.session(requests, { signal: context.signal });
}
