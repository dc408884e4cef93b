import { dnsResolver } from "./dns-resolver.ts";
import { fixedResolver } from "./fixed-resolver.ts";
import { registerResolver } from "./resolver.ts";

/** Registers the resolvers that every gRPC has: dns, ipv4, ipv6, unix. */
export function registerBuiltInResolvers(): void {
  registerResolver("dns", () => dnsResolver());
  for (const scheme of ["ipv4", "ipv6", "unix"]) registerResolver(scheme, () => fixedResolver);
}
