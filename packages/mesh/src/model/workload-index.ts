import { hostCandidates } from "./host-name.ts";
import { isInterfaceName, isReservedInterface } from "./interface-name.ts";
import type { Endpoint, HostPort, InboundListener, InterfaceExports } from "./mesh-reader.ts";
import type { ServicePort, ServiceResource } from "./resource.ts";
import type { ResourceIndex } from "./resource-index.ts";
import { selectorMatches, type Workload, type WorkloadListener } from "./workload.ts";

interface Export {
  readonly workload: Workload;
  readonly listener: WorkloadListener;
}

const noEndpoints: readonly Endpoint[] = [];

/** The live registrations, indexed, and what follows from them and the Services: endpoints, exports, listeners. */
export class WorkloadIndex {
  readonly byUid: ReadonlyMap<string, Workload>;
  readonly #resources: ResourceIndex;
  readonly #byNamespace = new Map<string, Workload[]>();
  readonly #byNodeId = new Map<string, Workload[]>();
  readonly #exports = new Map<string, Export[]>();
  readonly #endpoints = new Map<string, readonly Endpoint[]>();
  readonly #interfaces = new Map<string, InterfaceExports | undefined>();

  constructor(workloads: readonly Workload[], resources: ResourceIndex) {
    this.byUid = new Map(workloads.map((workload) => [workload.uid, workload]));
    this.#resources = resources;
    // By uid, so that of two claims to one node id and port the same one is heard whatever the order of arrival.
    for (const workload of [...this.byUid.values()].sort((a, b) => (a.uid < b.uid ? -1 : 1))) {
      push(this.#byNamespace, workload.namespace, workload);
      push(this.#byNodeId, workload.nodeId, workload);
      for (const listener of workload.listeners) {
        for (const name of new Set(listener.interfaces)) push(this.#exports, name, { workload, listener });
      }
    }
  }

  /** The workloads of a namespace. */
  workloadsOf(namespace: string): readonly Workload[] {
    return this.#byNamespace.get(namespace) ?? [];
  }

  endpoints(host: string, port: number): readonly Endpoint[] {
    const service = this.#resources.services.get(host);
    const servicePort = service?.spec.ports.find(
      (candidate) => candidate.port === port && candidate.protocol === "TCP",
    );
    if (service?.spec.selector === undefined || servicePort === undefined) return noEndpoints;
    const key = `${port}/${host}`;
    let endpoints = this.#endpoints.get(key);
    if (endpoints === undefined) {
      endpoints = this.workloadsOf(service.namespace)
        .filter((workload) => selects(service, workload))
        .flatMap((workload) => listenersBehind(servicePort, workload).map((listener) => endpointOf(workload, listener)))
        .sort(compareEndpoints);
      this.#endpoints.set(key, endpoints);
    }
    return endpoints;
  }

  interface(name: string): InterfaceExports | undefined {
    if (!this.#interfaces.has(name)) this.#interfaces.set(name, this.#collectExports(name));
    return this.#interfaces.get(name);
  }

  inbound(nodeId: string, port: number): InboundListener | undefined {
    for (const { namespace, labels, spiffeId, listeners } of this.#byNodeId.get(nodeId) ?? []) {
      const listener = listeners.find((candidate) => candidate.port === port);
      if (listener === undefined) continue;
      const mutualTls = this.#resources.mutualTls(namespace, labels, port);
      return { port, boundAddress: listener.boundAddress, spiffeId, mutualTls };
    }
    return undefined;
  }

  /** The hosts' ports behind which a listener of a workload stands, sorted. */
  hostPortsOf(workload: Workload, listener: WorkloadListener): readonly HostPort[] {
    return this.#resources
      .servicesOf(workload.namespace)
      .filter(([, service]) => selects(service, workload))
      .flatMap(([host, { spec }]) =>
        spec.ports
          .filter((port) => port.protocol === "TCP" && listenersBehind(port, workload).includes(listener))
          .map(({ port }) => ({ host, port })),
      )
      .sort(compareHostPorts);
  }

  #collectExports(name: string): InterfaceExports | undefined {
    const exports = this.#exports.get(name);
    if (exports === undefined || !isInterfaceName(name) || isReservedInterface(name)) return undefined;
    // A name that resolves as a host, in whatever namespace it is said, is that host and nothing else.
    const { hosts, settings } = this.#resources;
    if (hostCandidates(name, settings.rootNamespace, settings).some((host) => hosts.has(host))) return undefined;
    const hostPorts = new Map<string, HostPort>();
    let hasHostless = false;
    for (const { workload, listener } of exports) {
      const behind = this.hostPortsOf(workload, listener);
      hasHostless ||= behind.length === 0;
      for (const hostPort of behind) hostPorts.set(`${hostPort.port}/${hostPort.host}`, hostPort);
    }
    return {
      name,
      endpoints: exports.map(({ workload, listener }) => endpointOf(workload, listener)).sort(compareEndpoints),
      hostPorts: [...hostPorts.values()].sort(compareHostPorts),
      hasHostless,
    };
  }
}

/** Whether a Service selects a workload: by its selector, in its own namespace. A Service without selector selects nothing. */
export function selects({ namespace, spec }: ServiceResource, workload: Workload): boolean {
  return (
    namespace === workload.namespace && spec.selector !== undefined && selectorMatches(spec.selector, workload.labels)
  );
}

/**
 * The listeners of a workload behind a Service's port: those of the port's name or named by targetPort, otherwise the one
 * on the numeric targetPort. Of several with one name the one that also has the number counts alone.
 */
function listenersBehind(port: ServicePort, { listeners }: Workload): readonly WorkloadListener[] {
  const byNumber = listeners.filter((listener) => listener.port === port.targetPort);
  const byName = listeners.filter(
    ({ portName }) => portName !== "" && (portName === port.name || portName === port.targetPort),
  );
  if (byName.length === 0) return byNumber;
  const byBoth = byName.filter((listener) => byNumber.includes(listener));
  return byBoth.length > 0 ? byBoth : byName;
}

function endpointOf({ uid, address, labels, spiffeId, state }: Workload, listener: WorkloadListener): Endpoint {
  const isLeaving = state === "DRAINING";
  return {
    uid,
    address,
    port: listener.port,
    labels,
    spiffeId,
    state: isLeaving ? "NOT_SERVING" : listener.state,
  };
}

function compareEndpoints(a: Endpoint, b: Endpoint): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  if (a.port !== b.port) return a.port - b.port;
  return a.uid < b.uid ? -1 : a.uid > b.uid ? 1 : 0;
}

function compareHostPorts(a: HostPort, b: HostPort): number {
  if (a.host !== b.host) return a.host < b.host ? -1 : 1;
  return a.port - b.port;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
