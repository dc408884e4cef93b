import { BlockList, isIP } from "node:net";

/** Whether connections to a host (a name, or an IP literal without brackets) go past the proxy. */
export type NoProxy = (host: string) => boolean;

/**
 * What a `no_proxy` variable says: entries with commas between them, each the end of a host (`.corp.example`, `10.1.2.3`),
 * a range of addresses (`10.0.0.0/8`, `fd00::/8`), or `*` for every host.
 *
 * As in grpc-js an end is an end of the text, label or not, and names are not looked up to see whether they are in a
 * range. Unlike there an empty entry, as a comma at the end makes one, is none: there it matches every host.
 */
export function parseNoProxy(list: string): NoProxy {
  const entries = list
    .toLowerCase()
    .split(",")
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "");
  const ranges = new BlockList();
  for (const entry of entries) addRange(ranges, entry);
  return (host) => {
    const name = host.toLowerCase();
    return entries.some((entry) => entry === "*" || name.endsWith(entry)) || isWithin(ranges, name);
  };
}

/** Whatever isn't a range is no mistake: other programs read the same variable by other rules. */
function addRange(ranges: BlockList, entry: string): void {
  const [, network = "", digits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(entry) ?? [];
  const version = isIP(network);
  const prefix = Number(digits);
  if (version === 0 || prefix > (version === 4 ? 32 : 128)) return;
  ranges.addSubnet(network, prefix, version === 4 ? "ipv4" : "ipv6");
}

function isWithin(ranges: BlockList, host: string): boolean {
  const version = isIP(host);
  return version !== 0 && ranges.check(host, version === 4 ? "ipv4" : "ipv6");
}
