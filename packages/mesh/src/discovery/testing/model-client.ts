import { message } from "@weft/xds-api";
import { DiscoveryRequest, DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { Status } from "@weft/xds-api/google/rpc/status";
import { resourceKind } from "../resource-kinds.ts";
import { type EncodedResponse, encodeResponse } from "../response.ts";

interface TypeView {
  readonly names: Set<string>;
  /** What the client runs: name → text. */
  readonly cache: Map<string, string>;
  nonce: string;
  version: string;
  isWildcard: boolean;
}

export interface ModelClientOptions {
  /** Texts that the client refuses. */
  readonly refuses?: (text: string) => boolean;
  /** What it says then. */
  readonly complaint?: (names: readonly string[]) => string;
}

/**
 * An xDS client as gRPC's specifications describe it, without I/O: by name, per-resource NACKs (gRFC A46), names that are
 * unsubscribed are forgotten, names left out of a full-state response are deleted if the client had them.
 *
 * Resources are texts that stand for `<name>=<text>`: what it caches under a name tells whether it got mixed up.
 */
export class ModelClient {
  readonly #types = new Map<string, TypeView>();
  readonly #options: ModelClientOptions;

  constructor(options: ModelClientOptions = {}) {
    this.#options = options;
  }

  subscribe(typeUrl: string, ...names: readonly string[]): DiscoveryRequest {
    const type = this.#type(typeUrl);
    for (const name of names) type.names.add(name);
    return this.#request(typeUrl, type);
  }

  /** As generic clients (not gRPC) do: no names, everything. */
  subscribeAll(typeUrl: string): DiscoveryRequest {
    const type = this.#type(typeUrl);
    type.isWildcard = true;
    return this.#request(typeUrl, type);
  }

  unsubscribe(typeUrl: string, ...names: readonly string[]): DiscoveryRequest {
    const type = this.#type(typeUrl);
    for (const name of names) {
      type.names.delete(name);
      type.cache.delete(name);
    }
    return this.#request(typeUrl, type);
  }

  /** Reads a response as it comes off the wire; returns the ACK or NACK. */
  receive(response: EncodedResponse): DiscoveryRequest {
    const { typeUrl, nonce, versionInfo, resources } = DiscoveryResponse.decode(encodeResponse(response));
    const type = this.#type(typeUrl);
    const texts = new Map(
      response.resources.map(({ name }, at) => [name, Buffer.from(resources[at]?.value ?? []).toString()]),
    );
    const refused: string[] = [];
    for (const [name, text] of texts) {
      if (this.#options.refuses?.(text) === true) refused.push(name);
      else if (type.isWildcard || type.names.has(name)) type.cache.set(name, text);
    }
    if (resourceKind(typeUrl)?.isFullState === true) {
      for (const name of type.cache.keys()) if (!texts.has(name)) type.cache.delete(name);
    }
    type.nonce = nonce;
    if (refused.length === 0) type.version = versionInfo;
    return this.#request(typeUrl, type, refused.length === 0 ? undefined : this.#complain(refused));
  }

  /** A new stream: the first request for each type, with the old version, and with the old nonce if `keepsNonce`. */
  reconnect(keepsNonce: boolean): DiscoveryRequest[] {
    return [...this.#types]
      .filter(([, type]) => type.names.size > 0 || type.isWildcard)
      .map(([typeUrl, type]) => {
        if (!keepsNonce) type.nonce = "";
        return this.#request(typeUrl, type);
      });
  }

  names(typeUrl: string): readonly string[] {
    return [...(this.#types.get(typeUrl)?.names ?? [])];
  }

  text(typeUrl: string, name: string): string | undefined {
    return this.#types.get(typeUrl)?.cache.get(name);
  }

  #complain(names: readonly string[]): string {
    return this.#options.complaint?.(names) ?? names.map((name) => `resource "${name}": not good`).join("; ");
  }

  #type(typeUrl: string): TypeView {
    let type = this.#types.get(typeUrl);
    if (type === undefined) {
      type = { names: new Set(), cache: new Map(), nonce: "", version: "", isWildcard: false };
      this.#types.set(typeUrl, type);
    }
    return type;
  }

  #request(typeUrl: string, type: TypeView, complaint?: string): DiscoveryRequest {
    return message(DiscoveryRequest, {
      typeUrl,
      resourceNames: [...type.names],
      responseNonce: type.nonce,
      versionInfo: type.version,
      errorDetail: complaint === undefined ? undefined : message(Status, { code: 3, message: complaint }),
    });
  }
}
