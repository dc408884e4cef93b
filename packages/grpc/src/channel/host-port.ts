import { isIPv6 } from "node:net";

/** A host, name or IP literal without brackets, and a port. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`, `host`, `[v6]:port`, `[v6]` or a bare v6 literal; undefined for anything else. */
export function parseHostPort(text: string, defaultPort: number): HostPort | undefined {
  const match = /^(?:\[([^[\]]+)\]|([^:[\]/\s]+))(?::(\d{1,5}))?$/.exec(text);
  // Asked last: Node's pattern of v6 addresses takes milliseconds at first use.
  if (match === null) return isIPv6(text) ? { host: text, port: defaultPort } : undefined;
  const [, v6, name, digits] = match;
  if (v6 !== undefined && !isIPv6(v6)) return undefined;
  const port = digits === undefined ? defaultPort : Number(digits);
  return port > 65_535 ? undefined : { host: v6 ?? name!, port };
}
