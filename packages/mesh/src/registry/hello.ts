import { isIP } from "node:net";
import type { Hello } from "@weft/xds-api/weft/registry/v1/registry";
import { type CredentialBounds, labelWithin, mayUseAddress } from "./credential-bounds.ts";
import { type Refusal, refusal } from "./interface-names.ts";
import type { RegistryLimits } from "./limits.ts";

/** Who a session speaks for, once its Hello has passed what its credential allows. */
export interface Claim {
  readonly uid: string;
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly nodeId: string;
  readonly incarnation: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly displayName: string;
  readonly sdk: string;
}

// Printable ASCII: these end up in terminals, logs and resource names.
const identifier = /^[\x21-\x7e]{1,256}$/;
const phrase = /^[^\p{C}]{0,256}$/u;
const labelKey = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$/;

/**
 * The claim that a Hello makes, or why it is refused.
 *
 * Identity comes from the credential alone; what the Hello says may narrow it and never widen it.
 */
export function claimFor(
  hello: Hello,
  bounds: CredentialBounds,
  peerAddress: string,
  limits: RegistryLimits,
): Claim | Refusal {
  if (!identifier.test(hello.incarnation)) return malformed("incarnation");
  if (!identifier.test(hello.nodeId)) return malformed("node_id");
  if (!phrase.test(hello.sdk)) return malformed("sdk");
  if (!phrase.test(hello.displayName)) return malformed("display_name");
  if (hello.namespace !== "" && hello.namespace !== bounds.namespace) {
    return beyond("namespace", hello.namespace, bounds.namespace);
  }
  if (hello.serviceAccount !== "" && hello.serviceAccount !== bounds.serviceAccount) {
    return beyond("service account", hello.serviceAccount, bounds.serviceAccount);
  }
  const labels = { ...hello.labels, ...bounds.labels };
  const refusedLabel = labelsRefusal(hello.labels, bounds);
  if (refusedLabel !== undefined) return refusedLabel;
  if (Object.keys(labels).length > limits.labels) {
    return refusal("WEFT0202", "", `more than ${limits.labels} labels`);
  }
  const peer = canonicalAddress(peerAddress);
  const address = hello.address === "" ? peer : canonicalAddress(hello.address);
  if (address === undefined) {
    return refusal("WEFT0202", "", `the address ${quoted(hello.address || peerAddress)} is not an IP address`);
  }
  if (address !== peer && !mayUseAddress(bounds, address)) {
    return refusal("WEFT0201", "", `the address ${address} is neither the session's own nor in the credential's range`);
  }
  return {
    uid: `${bounds.namespace}/${bounds.serviceAccount}/${hello.incarnation}`,
    spiffeId: bounds.spiffeId,
    namespace: bounds.namespace,
    serviceAccount: bounds.serviceAccount,
    nodeId: hello.nodeId,
    incarnation: hello.incarnation,
    address,
    labels,
    displayName: hello.displayName,
    sdk: hello.sdk,
  };
}

/** `text` as an IP literal in its one form (IPv4-mapped IPv6 becomes IPv4), or undefined where it isn't one. */
export function canonicalAddress(text: string): string | undefined {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(text)?.[1];
  const literal = mapped ?? text;
  const family = isIP(literal);
  if (family === 0 || literal.includes("%")) return undefined;
  if (family === 4) return literal;
  // The URL parser knows RFC 5952's one form of an IPv6 address.
  return new URL(`http://[${literal}]`).hostname.slice(1, -1);
}

function labelsRefusal(labels: Readonly<Record<string, string>>, bounds: CredentialBounds): Refusal | undefined {
  for (const [key, value] of Object.entries(labels)) {
    if (!labelKey.test(key) || !labelValue.test(value)) {
      return refusal("WEFT0202", "", `the label ${quoted(`${key}=${value}`)} is not valid`);
    }
    if (!labelWithin(bounds, key, value)) {
      return refusal("WEFT0201", "", `the credential does not allow the label ${key}=${value}`);
    }
  }
  return undefined;
}

function malformed(field: string): Refusal {
  return refusal("WEFT0202", "", `${field} of Hello is missing, too long or not printable`);
}

function beyond(what: string, asked: string, allowed: string): Refusal {
  return refusal("WEFT0201", "", `the credential is for ${what} ${allowed}, not ${quoted(asked)}`);
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 128));
}
