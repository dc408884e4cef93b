import { message } from "@weft/xds-api";
import { type DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import { RpcError } from "../../rpc/error.ts";
import type { AdsStreamListener, AdsTransport } from "../ads-transport.ts";

/** A control plane in memory: the test plays it, request by request. */
export class ScriptedTransport implements AdsTransport {
  /** What came on the current stream and was not looked at yet. */
  readonly requests: DiscoveryRequest[] = [];
  readonly openedWith: boolean[] = [];
  #listener: AdsStreamListener | undefined;
  #nonce = 0;

  get isOpen(): boolean {
    return this.#listener !== undefined;
  }

  open(listener: AdsStreamListener, { waitForReady }: { waitForReady: boolean }) {
    this.#listener = listener;
    this.openedWith.push(waitForReady);
    this.requests.length = 0;
    return {
      send: (request: DiscoveryRequest) => this.requests.push(request),
      close: () => {
        if (this.#listener === listener) this.#listener = undefined;
      },
    };
  }

  connect(): void {
    this.#listener?.onConnected();
  }

  /** Answers with exactly these resources. */
  respond(typeUrl: string, ...resources: Any[]): void {
    this.#nonce += 1;
    const [versionInfo, nonce] = [`v${this.#nonce}`, `n${this.#nonce}`];
    this.#listener?.onResponse(message(DiscoveryResponse, { typeUrl, versionInfo, nonce, resources }));
  }

  fail(details = "connection refused"): void {
    const listener = this.#listener;
    this.#listener = undefined;
    listener?.onEnd(new RpcError("UNAVAILABLE", details));
  }

  /** The names last asked for, of one type. */
  asked(typeUrl: string): readonly string[] | undefined {
    return this.requests.findLast((request) => request.typeUrl === typeUrl)?.resourceNames;
  }
}

/** What this turn's microtasks do, done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
