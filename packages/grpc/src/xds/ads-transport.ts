import type { DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { RpcError } from "../rpc/error.ts";

/** What happens on one ADS stream: nothing from within `open`, nothing after `onEnd`. */
export interface AdsStreamListener {
  /** The control plane is connected: from now on it can be late. Before any response. */
  onConnected(): void;
  onResponse(response: DiscoveryResponse): void;
  /** Exactly once, also when the stream never came to be. */
  onEnd(error: RpcError): void;
}

/** One ADS stream. */
export interface AdsStream {
  /** Queued until there is a connection. The stream adds the node to its first request. */
  send(request: DiscoveryRequest): void;
  /** Ends the stream; `onEnd` is not called any more. */
  close(): void;
}

/** Opens ADS streams to one control plane. */
export interface AdsTransport {
  /** `waitForReady`: outlives failed connection attempts; without it the first failure ends the stream with its reason. */
  open(listener: AdsStreamListener, options: { readonly waitForReady: boolean }): AdsStream;
}
