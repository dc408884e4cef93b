import type { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";

/** Requests that a test hands over one by one. */
export class RequestQueue implements AsyncIterable<DiscoveryRequest> {
  readonly #queued: DiscoveryRequest[] = [];
  #isEnded = false;
  #wake: (() => void) | undefined;

  push(request: DiscoveryRequest): void {
    this.#queued.push(request);
    this.#wake?.();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<DiscoveryRequest> {
    for (;;) {
      const request = this.#queued.shift();
      if (request !== undefined) yield request;
      else if (this.#isEnded) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
