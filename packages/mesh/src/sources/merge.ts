import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import { type Resource, resourceKey } from "../model/resource.ts";

/** Where a resource in force comes from. */
export type ResourceOrigin = { readonly kind: "file"; readonly file: string } | { readonly kind: "store" };

/** The resources of a mesh, each from the one source that counts. */
export interface MergedResources {
  readonly resources: readonly Resource[];
  /** By resource key; what a file defines and hides is not in here twice. */
  readonly origins: ReadonlyMap<string, ResourceOrigin>;
  readonly diagnostics: readonly Diagnostic[];
}

/** One source's resources, with what is wrong with them. */
export interface ContributedResources {
  readonly resources: readonly Resource[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Files before the store; of two files the one whose path comes first. A pure function of what there is now, so that the
 * order in which it came about plays no part.
 */
export function mergeResources(
  files: ReadonlyMap<string, ContributedResources>,
  store: ContributedResources,
): MergedResources {
  const chosen = new Map<string, Resource>();
  const origins = new Map<string, ResourceOrigin>();
  const diagnostics: Diagnostic[] = [];
  const paths = [...files.keys()].sort();
  for (const path of paths) {
    const contributed = files.get(path);
    if (contributed === undefined) continue;
    diagnostics.push(...contributed.diagnostics);
    for (const resource of contributed.resources) {
      const key = resourceKey(resource);
      const other = origins.get(key);
      if (other?.kind === "file") {
        const at = resource.origin.range;
        diagnostics.push({
          severity: "error",
          code: "WEFT0007",
          message: `${key} is defined in ${other.file} already`,
          at,
          hint: `that one is in force; remove one of the two`,
        });
        continue;
      }
      chosen.set(key, resource);
      origins.set(key, { kind: "file", file: path });
    }
  }
  diagnostics.push(...store.diagnostics);
  for (const resource of store.resources) {
    const key = resourceKey(resource);
    const other = origins.get(key);
    if (other?.kind === "file") {
      const message = `${key} is in the store too, and ${other.file} takes precedence`;
      const note = errorAbout("WEFT0308", message, { file: other.file, hint: "delete one of the two" });
      diagnostics.push({ ...note, severity: "warning" });
      continue;
    }
    chosen.set(key, resource);
    origins.set(key, { kind: "store" });
  }
  return { resources: [...chosen.values()], origins, diagnostics };
}
