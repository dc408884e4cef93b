import { hostCandidates } from "../model/host-name.ts";
import { isInterfaceName, isReservedInterface } from "../model/interface-name.ts";
import type { MeshHost, MeshReader } from "../model/mesh-reader.ts";
import { isDnsName } from "../model/names.ts";
import type { ServicePort } from "../model/resource.ts";
import type { Audience } from "./audience.ts";

/** What a client means by the name it dials. */
export type DialledTarget =
  | { readonly kind: "host"; readonly host: string; readonly port: number }
  | { readonly kind: "interface"; readonly name: string }
  /** It would be ours, but there is no such host, port or interface (now). */
  | { readonly kind: "missing" }
  /** Not a name of this mesh. */
  | { readonly kind: "foreign" };

/**
 * Resolves `host[:port]` from the audience's namespace: short forms, a trailing dot, no port where it is unambiguous; what
 * is no host and has no port may be an interface.
 */
export function resolveDialledName(reader: MeshReader, audience: Audience, name: string): DialledTarget {
  const dialled = parseDialledName(name);
  if (dialled === undefined) return { kind: "foreign" };
  const { host: written, port } = dialled;
  const looksLikeInterface = port === undefined && isInterfaceName(written);
  const candidates = hostCandidates(written, audience.namespace, reader.settings).filter(isDnsName);
  for (const candidate of candidates) {
    const host = reader.host(candidate);
    if (host === undefined) continue;
    const chosen = portOf(host, port);
    return chosen === undefined ? { kind: "missing" } : { kind: "host", host: host.name, port: chosen };
  }
  if (looksLikeInterface && !isReservedInterface(written) && reader.interface(written) !== undefined) {
    return { kind: "interface", name: written };
  }
  const isInside = candidates.some((candidate) => candidate.endsWith(`.${reader.settings.dnsDomain}`));
  return { kind: looksLikeInterface || isInside ? "missing" : "foreign" };
}

/** The port of a host that `written` means, or undefined where there is none or it is ambiguous. */
function portOf({ service }: MeshHost, written: number | undefined): number | undefined {
  // A host that only a VirtualService names takes any port; 0 stands for none said.
  if (service === undefined) return written ?? 0;
  const ports = service.ports.filter(({ protocol }) => protocol === "TCP");
  if (written !== undefined) return ports.find(({ port }) => port === written)?.port;
  return onlyPort(service.ports);
}

/** The one TCP port, or of several the one that says it is gRPC; undefined where that is none or more than one. */
export function onlyPort(ports: readonly ServicePort[]): number | undefined {
  const usable = ports.filter(({ protocol }) => protocol === "TCP");
  const chosen = usable.length === 1 ? usable : usable.filter(isGrpc);
  return chosen.length === 1 ? chosen[0]?.port : undefined;
}

function isGrpc({ name, appProtocol }: ServicePort): boolean {
  return appProtocol === undefined ? name === "grpc" || name.startsWith("grpc-") : appProtocol === "grpc";
}

function parseDialledName(name: string): { readonly host: string; readonly port: number | undefined } | undefined {
  if (name.length > 300) return undefined;
  const parts = /^([\w.-]+?)(?::(\d{1,5}))?$/.exec(name);
  const [, host, written] = parts ?? [];
  if (host === undefined) return undefined;
  if (written === undefined) return { host, port: undefined };
  const port = Number(written);
  return port >= 1 && port <= 65535 ? { host, port } : undefined;
}
