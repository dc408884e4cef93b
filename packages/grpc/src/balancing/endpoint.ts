import { type Address, addressText } from "../subchannel/address.ts";

/** One server: its addresses in order of preference (gRFC A61), and its share of the calls. */
export interface Endpoint {
  readonly addresses: readonly Address[];
  /** Greater than 0; default 1. */
  readonly weight?: number;
}

/** What tells endpoints apart over updates: their addresses, not their weight. */
export function endpointKey(endpoint: Endpoint): string {
  return endpoint.addresses.map(addressText).join(" ");
}
