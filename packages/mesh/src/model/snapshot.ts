import { hostCandidates } from "./host-name.ts";
import type {
  Endpoint,
  HostRoutes,
  HostRule,
  InboundListener,
  InterfaceExports,
  MeshHost,
  MeshReader,
} from "./mesh-reader.ts";
import { defaultMeshSettings, type MeshSettings } from "./mesh-settings.ts";
import type { Resource } from "./resource.ts";
import { ResourceIndex } from "./resource-index.ts";
import type { Workload } from "./workload.ts";
import { WorkloadIndex } from "./workload-index.ts";

/** What a snapshot is made of. Resource keys and workload uids are unique; of duplicates the last one counts. */
export interface MeshContents {
  readonly resources: readonly Resource[];
  readonly workloads: readonly Workload[];
  readonly settings?: MeshSettings;
}

/**
 * Everything that the mesh is told and everyone in it at one moment: immutable, indexed, answers by full host name.
 *
 * What isn't asked isn't computed: endpoints and exports are derived on first reading and kept.
 */
export class MeshSnapshot implements MeshReader {
  readonly settings: MeshSettings;
  readonly resources: ResourceIndex;
  readonly workloads: WorkloadIndex;

  constructor(resources: ResourceIndex, workloads: WorkloadIndex) {
    this.settings = resources.settings;
    this.resources = resources;
    this.workloads = workloads;
  }

  host(name: string): MeshHost | undefined {
    return this.resources.host(name);
  }

  routes(host: string): HostRoutes | undefined {
    return this.resources.routes(host);
  }

  rule(host: string): HostRule | undefined {
    return this.resources.rule(host);
  }

  endpoints(host: string, port: number): readonly Endpoint[] {
    return this.workloads.endpoints(host, port);
  }

  interface(name: string): InterfaceExports | undefined {
    return this.workloads.interface(name);
  }

  inbound(nodeId: string, port: number): InboundListener | undefined {
    return this.workloads.inbound(nodeId, port);
  }

  /** The hosts behind which a workload stands, sorted. */
  hostsOf(workload: Workload): readonly string[] {
    const behind = workload.listeners.flatMap((listener) => this.workloads.hostPortsOf(workload, listener));
    return [...new Set(behind.map(({ host }) => host))].sort();
  }

  /** Whether `name`, said in `namespace`, is a host's. */
  resolvesAsHost(name: string, namespace: string): boolean {
    return hostCandidates(name, namespace, this.settings).some((host) => this.resources.hosts.has(host));
  }
}

/** A snapshot of `contents`. Indexes of `previous` are taken over where `contents.resources` is the same array. */
export function createSnapshot(contents: MeshContents, previous?: MeshSnapshot): MeshSnapshot {
  const settings = contents.settings ?? defaultMeshSettings;
  const kept = previous?.resources;
  const resources =
    kept !== undefined && kept.source === contents.resources && kept.settings === settings
      ? kept
      : new ResourceIndex(contents.resources, settings);
  return new MeshSnapshot(resources, new WorkloadIndex(contents.workloads, resources));
}
