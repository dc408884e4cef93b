import { BlockList, isIP } from "node:net";
import type { Identity } from "../authn/identity.ts";

/** What a session's credential proves and allows: undefined labels allow any, undefined addresses only the session's own. */
export type CredentialBounds = Pick<
  Identity,
  "spiffeId" | "namespace" | "serviceAccount" | "allowedLabels" | "allowedAddresses"
>;

export function labelWithin(bounds: CredentialBounds, key: string, value: string): boolean {
  const { allowedLabels } = bounds;
  return allowedLabels === undefined || (Object.hasOwn(allowedLabels, key) && allowedLabels[key] === value);
}

/** Whether the credential allows `address`, an IP literal, for a session that comes from another one. */
export function mayUseAddress(bounds: CredentialBounds, address: string): boolean {
  const blocks = new BlockList();
  for (const block of bounds.allowedAddresses ?? []) {
    const [network = "", prefix] = block.split("/");
    const family = isIP(network);
    if (family === 0) continue;
    blocks.addSubnet(
      network,
      prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix),
      family === 4 ? "ipv4" : "ipv6",
    );
  }
  return blocks.check(address, isIP(address) === 4 ? "ipv4" : "ipv6");
}
