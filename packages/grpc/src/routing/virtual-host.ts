import type { VirtualHostConfig } from "./route-config.ts";

/** How well a domain pattern fits, from best: exact, suffix (`*.x`), prefix (`x*`), everything (`*`). */
const fits = { exact: 3, suffix: 2, prefix: 1, everything: 0 } as const;

/** Whether `pattern` is a domain as gRPC reads it: at most one `*`, and only at one end. */
export function isDomainPattern(pattern: string): boolean {
  if (pattern === "") return false;
  const first = pattern.indexOf("*");
  if (first === -1) return true;
  return first === pattern.lastIndexOf("*") && (first === 0 || first === pattern.length - 1);
}

function fit(pattern: string, authority: string): number | undefined {
  if (pattern === "*") return fits.everything;
  if (pattern.startsWith("*")) {
    // The `*` stands for at least one character.
    const suffix = pattern.slice(1);
    return authority.length > suffix.length && authority.endsWith(suffix) ? fits.suffix : undefined;
  }
  if (pattern.endsWith("*")) {
    const prefix = pattern.slice(0, -1);
    return authority.length > prefix.length && authority.startsWith(prefix) ? fits.prefix : undefined;
  }
  return pattern === authority ? fits.exact : undefined;
}

/**
 * The virtual host that serves `authority`: exact before suffix before prefix before `*`, the longest pattern first,
 * the first one listed on a tie; case does not count (gRFC A27). Undefined where none does.
 */
export function chooseVirtualHost(
  hosts: readonly VirtualHostConfig[],
  authority: string,
): VirtualHostConfig | undefined {
  const wanted = authority.toLowerCase();
  let best: VirtualHostConfig | undefined;
  let bestFit = -1;
  let bestLength = -1;
  for (const host of hosts) {
    for (const domain of host.domains) {
      const found = fit(domain.toLowerCase(), wanted);
      if (found === undefined || found < bestFit || (found === bestFit && domain.length <= bestLength)) continue;
      best = host;
      bestFit = found;
      bestLength = domain.length;
    }
  }
  return best;
}
