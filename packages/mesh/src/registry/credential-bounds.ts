import { BlockList, isIP } from "node:net";
import type { Bounds, Identity } from "../authn/identity.ts";

/** What a session's credential proves and allows. */
export type CredentialBounds = Pick<Identity, "spiffeId" | "namespace" | "serviceAccount" | keyof Bounds>;

/** Whether a workload may say that it carries this label: as its credential has it, or freely where that has none. */
export function labelWithin({ labels, anyLabel }: CredentialBounds, key: string, value: string): boolean {
  return Object.hasOwn(labels, key) ? labels[key] === value : anyLabel;
}

/** Whether the credential allows `address`, an IP literal, for a session that comes from another one. */
export function mayUseAddress(bounds: CredentialBounds, address: string): boolean {
  const blocks = new BlockList();
  for (const block of bounds.addresses) {
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
