import type { HttpProxy } from "./http-proxy.ts";

/** Where a server listens, and how to get there. `host` is mostly an IP literal; a name is looked up by the system at connect. */
export type Address =
  | {
      readonly kind: "tcp";
      readonly host: string;
      readonly port: number;
      /** Connects in this process's place, and looks `host` up. */
      readonly proxy?: HttpProxy | undefined;
    }
  | { readonly kind: "unix"; readonly path: string };

/**
 * `host:port`, `[v6]:port` or `unix:/path`: how an address stands in messages, and its key among others of one channel,
 * which has one proxy for it.
 */
export function addressText(address: Address): string {
  return address.kind === "unix" ? `unix:${address.path}` : hostPortText(address);
}

/** `host:port` or `[v6]:port`. */
export function hostPortText({ host, port }: { readonly host: string; readonly port: number }): string {
  // Of names and literals only v6 has a colon.
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** What the connections to `address` go through; undefined for straight ones. */
export function proxyOf(address: Address): HttpProxy | undefined {
  return address.kind === "tcp" ? address.proxy : undefined;
}
