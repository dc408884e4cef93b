/** Where a server listens. `host` is mostly an IP literal; a name is looked up by the system at connect. */
export type Address =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** `host:port`, `[v6]:port` or `unix:/path`: how an address stands in messages, and its key among others. */
export function addressText(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  // Of names and literals only v6 has a colon.
  return `${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}
