import { BlockList, isIP } from "node:net";

/** What a session's credential proves and allows; authn/'s Identity has this shape. */
export interface CredentialBounds {
  readonly spiffeId: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Labels that the workload may carry, each with its one value; undefined allows any. */
  readonly allowedLabels?: Readonly<Record<string, string>> | undefined;
  /** CIDR blocks that the workload's address may lie in, beside the session's own address. */
  readonly allowedAddresses?: readonly string[] | undefined;
}

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
