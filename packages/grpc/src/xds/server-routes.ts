import type { RouteTableConfig } from "../routing/route-config.ts";

/**
 * Why a server can't serve by these routes, or undefined where it can: every call must be its own to handle (gRFC A36).
 *
 * Choosing among routes per call is not supported; what would have to be refused for some calls is refused for all.
 */
export function serverRoutesProblem(table: RouteTableConfig): string | undefined {
  let isCatchAll = false;
  for (const host of table.virtualHosts) {
    for (const route of host.routes) {
      if (route.action.kind !== "nonForwarding")
        return `route "${route.name}" of "${host.name}" is not non_forwarding_action`;
      const { path, headers, perMillion } = route.match;
      const isEverything = path.kind === "prefix" && (path.value === "" || path.value === "/");
      if (isEverything && headers.length === 0 && perMillion === undefined && host.domains.includes("*")) {
        isCatchAll = true;
      }
    }
  }
  return isCatchAll ? undefined : "no route takes every call";
}
