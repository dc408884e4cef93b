import { type Address, addressText } from "../subchannel/address.ts";
import type { Endpoint } from "./endpoint.ts";

/**
 * The addresses of `endpoints`, each once, in the order to try them: as given, with IPv6 and others taking turns, so that
 * one family that goes nowhere costs one delay and not many (gRFC A61, RFC 8305 §4).
 */
export function addressesInOrder(endpoints: readonly Endpoint[]): Address[] {
  const addresses = new Map<string, Address>();
  for (const endpoint of endpoints) {
    for (const address of endpoint.addresses) {
      const text = addressText(address);
      if (!addresses.has(text)) addresses.set(text, address);
    }
  }
  const [first, ...rest] = addresses.values();
  if (first === undefined) return [];
  const alike = rest.filter((address) => isV6(address) === isV6(first));
  const others = rest.filter((address) => isV6(address) !== isV6(first));
  const ordered = [first];
  for (let index = 0; index < Math.max(alike.length, others.length); index++) {
    if (index < others.length) ordered.push(others[index]!);
    if (index < alike.length) ordered.push(alike[index]!);
  }
  return ordered;
}

function isV6(address: Address): boolean {
  return address.kind === "tcp" && address.host.includes(":");
}

/** `items` in random order; `random` gives numbers in [0, 1). */
export function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const chosen = Math.floor(random() * (last + 1));
    [order[last], order[chosen]] = [order[chosen]!, order[last]!];
  }
  return order;
}
