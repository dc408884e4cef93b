import type { MeshSettings } from "./mesh-settings.ts";

/** The full name of a Service: `<service>.<namespace>.svc.<domain>`. */
export function serviceHost(service: string, namespace: string, settings: MeshSettings): string {
  return `${service}.${namespace}.svc.${settings.dnsDomain}`;
}

/** The service and namespace in a full Service name, or undefined where the host is of another form. */
export function parseServiceHost(
  host: string,
  settings: MeshSettings,
): { readonly service: string; readonly namespace: string } | undefined {
  const suffix = `.svc.${settings.dnsDomain}`;
  if (!host.endsWith(suffix)) return undefined;
  const labels = host.slice(0, -suffix.length).split(".");
  const [service, namespace] = labels;
  return labels.length === 2 && service && namespace ? { service, namespace } : undefined;
}

/**
 * The full names that a written or dialled host may mean, in the order in which they are tried.
 *
 * `svc` means a Service of `namespace`; `svc.ns` and `svc.ns.svc` are short too, but may also be full names of something
 * outside. A trailing dot makes the name absolute: it is tried as it is only.
 */
export function hostCandidates(written: string, namespace: string, settings: MeshSettings): readonly string[] {
  if (written.endsWith(".")) return [written.slice(0, -1)];
  const labels = written.split(".");
  if (labels.length === 1) return [written, serviceHost(written, namespace, settings)];
  if (labels.length === 2) return [written, `${written}.svc.${settings.dnsDomain}`];
  if (labels.length === 3 && labels[2] === "svc") return [written, `${written}.${settings.dnsDomain}`];
  return [written];
}

/**
 * The full name of a host as a resource of `namespace` writes it: the first candidate that `isKnown`; otherwise a name
 * without dots or with the ending `.svc` is a Service's, and all else is full already.
 */
export function resolveHost(
  written: string,
  namespace: string,
  settings: MeshSettings,
  isKnown: (host: string) => boolean,
): string {
  const candidates = hostCandidates(written, namespace, settings);
  const known = candidates.find(isKnown);
  if (known !== undefined) return known;
  const isShort = !written.includes(".") || written.endsWith(".svc");
  return (isShort ? candidates.at(-1) : candidates[0]) ?? written;
}
