import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import type { CallListener, ClientCall } from "../rpc/client-call.ts";
import { RpcError } from "../rpc/error.ts";
import { statusName } from "../rpc/status.ts";
import type { AdsStream, AdsStreamListener, AdsTransport } from "./ads-transport.ts";

const path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";

/** What of a control plane the transport uses. */
export type AdsControlPlane = Pick<
  ControlPlane,
  "address" | "channel" | "callMetadata" | "node" | "status" | "watchStatus"
>;

/** ADS streams over the control plane's channel. */
export function channelTransport(controlPlane: AdsControlPlane): AdsTransport {
  return { open: (listener, { waitForReady }) => new ChannelStream(controlPlane, listener, waitForReady) };
}

class ChannelStream implements AdsStream, CallListener {
  readonly #controlPlane: AdsControlPlane;
  readonly #listener: AdsStreamListener;
  /** Aborted when the stream is over, by whichever side. */
  readonly #end = new AbortController();
  readonly #unsent: DiscoveryRequest[] = [];
  /** Sent with the first request; undefined once it was. */
  #node: Node | undefined;
  #call: ClientCall | undefined;
  #isConnected = false;
  #stopStatus: (() => void) | undefined;

  constructor(controlPlane: AdsControlPlane, listener: AdsStreamListener, waitForReady: boolean) {
    this.#controlPlane = controlPlane;
    this.#listener = listener;
    if (!waitForReady) this.#stopStatus = controlPlane.watchStatus(() => this.#onStatusChange());
    controlPlane.node(this.#end.signal).then(
      (node) => this.#begin(node, waitForReady),
      (error: unknown) => this.#finish(RpcError.from(error)),
    );
    if (!waitForReady) queueMicrotask(() => this.#onStatusChange());
  }

  send(request: DiscoveryRequest): void {
    if (this.#call === undefined) {
      this.#unsent.push(request);
      return;
    }
    if (this.#node !== undefined) request.node = this.#node;
    this.#node = undefined;
    this.#call.sendMessage(DiscoveryRequest.encode(request).finish());
  }

  close(): void {
    if (this.#end.signal.aborted) return;
    this.#over();
    this.#call?.cancel("CANCELLED", "the xDS client was closed");
  }

  /** A process that has no identity yet can't open a stream: why that is so is the reason there is none. */
  #onStatusChange(): void {
    const { problem } = this.#controlPlane.status();
    if (this.#call === undefined && problem !== undefined) this.#finish(new RpcError("UNAVAILABLE", problem));
  }

  #begin(node: Node, waitForReady: boolean): void {
    if (this.#end.signal.aborted) return;
    this.#node = node;
    const { channel } = this.#controlPlane;
    const options = { metadata: this.#controlPlane.callMetadata(), waitForReady, isBackground: true };
    this.#call = channel.startCall(channel.callHead(path), options, this, undefined);
    for (const request of this.#unsent.splice(0)) this.send(request);
    void this.#followConnection();
  }

  /** Requests queue while the channel connects; a control plane can be late only from when they are out. */
  async #followConnection(): Promise<void> {
    const { channel } = this.#controlPlane;
    const { signal } = this.#end;
    let state = channel.connectivityState();
    while (!signal.aborted && this.#call?.peer === undefined && state !== "READY") {
      try {
        state = await channel.watchConnectivityState(state, signal);
      } catch {
        // The stream is over, which is what the loop asks next.
      }
    }
    this.#connected();
  }

  #connected(): void {
    if (this.#isConnected || this.#end.signal.aborted) return;
    this.#isConnected = true;
    this.#listener.onConnected();
  }

  #over(): void {
    this.#end.abort();
    this.#stopStatus?.();
  }

  #finish(error: RpcError): void {
    if (this.#end.signal.aborted) return;
    this.#over();
    this.#listener.onEnd(error);
  }

  // As the call's listener.

  onHeaders(): void {
    this.#connected();
  }

  onMessage(bytes: Buffer): void {
    if (this.#end.signal.aborted) return;
    this.#connected();
    let response: DiscoveryResponse;
    try {
      response = DiscoveryResponse.decode(bytes);
    } catch (cause) {
      this.#finish(new RpcError("INTERNAL", "the control plane sent a malformed DiscoveryResponse", { cause }));
      this.#call?.cancel("INTERNAL", "malformed DiscoveryResponse");
      return;
    }
    this.#listener.onResponse(response);
  }

  onWritable(): void {
    // Requests are few and small: what a slow control plane makes queue up is bounded by what is subscribed.
  }

  onStatus(status: number, details: string, _trailers: unknown, cause: unknown): void {
    const code = statusName(status);
    const what = code === "OK" ? new RpcError("UNAVAILABLE", "the control plane ended the stream") : undefined;
    // May come from within startCall; nobody expects the end from within `open`.
    queueMicrotask(() => this.#finish(what ?? new RpcError(code, details, { cause })));
  }
}
