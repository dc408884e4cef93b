import { parseInboundListenerName, typeUrls } from "@weft/xds-api";

/** Who asks, as far as it may change the answer. */
export interface Audience {
  /** Where short names are looked up first. */
  readonly namespace: string;
  /** The stream's node id: server listeners are found by it. */
  readonly nodeId: string;
  /** Proven by token or certificate; absent on the plaintext port. */
  readonly spiffeId?: string;
  readonly trustDomain: string;
  readonly userAgent: string;
}

/**
 * What of the audience the answer to `name` depends on: audiences with equal keys get equal messages, so one translation
 * serves them all. Server listeners differ by node and identity, dialled names by namespace, everything else by nothing.
 */
export function audienceKey(audience: Audience, typeUrl: string, name: string): string {
  if (typeUrl !== typeUrls.listener) return "";
  if (parseInboundListenerName(name) === undefined) return `namespace/${audience.namespace}`;
  return `node/${audience.nodeId}/${audience.spiffeId ?? ""}`;
}
