import { typeUrls } from "@weft/xds-api";

/** How the SotW protocol treats a resource type. */
export interface ResourceKind {
  /** Every response carries the whole subscribed set, and leaving a name out deletes it (LDS, CDS). */
  readonly isFullState: boolean;
  /**
   * A name that the source dropped stays answered with its last bytes until the client unsubscribes it: some route
   * of the client may still lead there. A listener is what applications dial: its deletion is meant.
   */
  readonly outlivesRemoval: boolean;
  /** Place in the make-before-break order for wildcard subscribers: CDS, EDS, LDS, RDS. */
  readonly rank: number;
}

const kinds: ReadonlyMap<string, ResourceKind> = new Map([
  [typeUrls.cluster, { isFullState: true, outlivesRemoval: true, rank: 0 }],
  [typeUrls.clusterLoadAssignment, { isFullState: false, outlivesRemoval: true, rank: 1 }],
  [typeUrls.listener, { isFullState: true, outlivesRemoval: false, rank: 2 }],
  [typeUrls.routeConfiguration, { isFullState: false, outlivesRemoval: true, rank: 3 }],
]);

/** The treatment of a type, or undefined for types that are not served. */
export function resourceKind(typeUrl: string): ResourceKind | undefined {
  return kinds.get(typeUrl);
}
