import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { DiscoveryRequest } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import type { Discovery } from "../discovery.ts";
import type { EncodedResponse } from "../response.ts";
import { RequestQueue } from "./request-queue.ts";

export interface ClientOptions {
  readonly nodeId?: string;
  readonly userAgentName?: string;
  readonly identity?: string | undefined;
  readonly peer?: string;
}

/** One stream into an engine in this process, driven by hand. */
export class ScriptedClient implements AsyncDisposable {
  readonly #requests = new RequestQueue();
  readonly #abort = new AbortController();
  readonly #responses: AsyncIterator<EncodedResponse>;
  readonly #names = new Map<string, readonly string[]>();
  #node: Node | undefined;

  constructor(discovery: Discovery<undefined>, options: ClientOptions = {}) {
    const { nodeId = "node", userAgentName = "gRPC Test", identity, peer = "127.0.0.1:1" } = options;
    this.#node = message(Node, { id: nodeId, userAgentName });
    const context = { principal: undefined, identity, peer, signal: this.#abort.signal };
    this.#responses = discovery.handleStream(this.#requests, context)[Symbol.asyncIterator]();
  }

  ask(typeUrl: string, ...names: readonly string[]): void {
    this.#names.set(typeUrl, names);
    this.say({ typeUrl, resourceNames: [...names] });
  }

  ack({ typeUrl, nonce, versionInfo }: EncodedResponse): void {
    const resourceNames = [...(this.#names.get(typeUrl) ?? [])];
    this.say({ typeUrl, resourceNames, responseNonce: nonce, versionInfo });
  }

  say(request: Partial<DiscoveryRequest>): void {
    this.#requests.push(message(DiscoveryRequest, { node: this.#node, ...request }));
    this.#node = undefined;
  }

  /** The next response; fails where the stream ends instead, with what it ended with. */
  async next(): Promise<EncodedResponse> {
    const next = await this.#responses.next();
    if (next.done === true) throw new Error("the stream ended");
    return next.value;
  }

  /** Asks, awaits the answer and acknowledges it. */
  async settle(typeUrl: string, ...names: readonly string[]): Promise<EncodedResponse> {
    this.ask(typeUrl, ...names);
    const response = await this.next();
    this.ack(response);
    return response;
  }

  /** Ends the requests as a client does that closes its stream. */
  halfClose(): void {
    this.#requests.end();
  }

  /** Cancels the call. */
  cancel(): void {
    this.#abort.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    await this.#responses.return?.();
  }
}
