import { isDnsName } from "./names.ts";
import { formatPath, type Report } from "./report.ts";
import type { FieldPath } from "./yaml-text.ts";

/** Reports a host that is not a DNS name in lower case (a trailing dot is taken); wildcards are not supported yet. */
export function checkHost(host: string, path: FieldPath, report: Report): void {
  const field = formatPath(path);
  const shown = JSON.stringify(host.slice(0, 80));
  if (host.includes("*")) {
    const message = `${field}: the wildcard host ${shown} is not supported yet`;
    report({ severity: "error", code: "WEFT0040", message, path, hint: "name each host" });
  } else if (!isDnsName(host.replace(/\.$/, "")) || /^[\d.]+$/.test(host)) {
    const message = `${field}: ${shown} is not a host name`;
    report({ severity: "error", code: "WEFT0013", message, path, hint: "hosts are DNS names in lower case" });
  }
}
