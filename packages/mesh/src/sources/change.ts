import type { Diagnostic } from "../model/diagnostic.ts";
import type { MeshKey } from "../model/mesh-reader.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import type { ResourceKey, ResourceOutcome } from "../store/records.ts";
import type { ResourceOrigin } from "./merge.ts";

/** A new state of the mesh. */
export interface MeshUpdate {
  readonly snapshot: MeshSnapshot;
  readonly previous: MeshSnapshot;
  /** The keys whose answers differ from `previous`. May be empty, where only diagnostics changed. */
  readonly changed: ReadonlySet<MeshKey>;
  /** Everything that is wrong now, in order of place. */
  readonly diagnostics: readonly Diagnostic[];
  /** Rises by one with each update of this process. */
  readonly sequence: number;
}

/** YAML to be applied, all of it or none. */
export interface ApplyRequest {
  /** The texts, each with the name that diagnostics give it. */
  readonly files: readonly { readonly file: string; readonly text: string }[];
  readonly defaultNamespace?: string | undefined;
  /** Say what would happen and keep nothing. */
  readonly dryRun?: boolean;
}

/** What became of a change. `applied`: it is on disk, and every listener has the snapshot with it; its diagnostics are warnings. */
export type ChangeResult =
  | {
      readonly kind: "applied";
      readonly revision: number;
      readonly outcomes: readonly ResourceOutcome[];
      readonly diagnostics: readonly Diagnostic[];
    }
  | { readonly kind: "refused"; readonly diagnostics: readonly Diagnostic[] };

/** A resource in force, as it was written. */
export interface ResourceView extends ResourceKey {
  readonly apiVersion: string;
  readonly origin: ResourceOrigin;
  readonly text: string;
  /** Of the store; undefined for a file's. */
  readonly generation: number | undefined;
  readonly updatedMs: number | undefined;
}
