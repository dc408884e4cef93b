/** What holds for the whole mesh. */
export interface MeshSettings {
  readonly trustDomain: string;
  /** Hosts are `<service>.<namespace>.svc.<dnsDomain>`. */
  readonly dnsDomain: string;
  /** Policies without a selector in this namespace hold for every namespace. */
  readonly rootNamespace: string;
}

/** `cluster.local` twice, and `weft-system`. */
export const defaultMeshSettings: MeshSettings = {
  trustDomain: "cluster.local",
  dnsDomain: "cluster.local",
  rootNamespace: "weft-system",
};
