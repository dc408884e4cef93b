import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import { parseDocuments } from "../model/parse.ts";
import { type Resource, resourceKey } from "../model/resource.ts";

/** What one file contributes: its good documents, and for its bad ones what they last said when they were good. */
export interface FileDocuments {
  /** Undefined for what a file said before this process started. */
  readonly text: string | undefined;
  readonly resources: readonly Resource[];
  /** Those of `resources` that the text doesn't say any more, or says wrongly. */
  readonly kept: readonly Resource[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * What `text` contributes under the name `file`, given what the file contributed before.
 *
 * A document with an error leaves its own last good version in force, and nothing else: a document that was taken out of
 * the file is gone. Only where a broken document can't tell which resource it is (its YAML doesn't parse, its name is
 * gone), everything that the file once had and doesn't say anything about now is kept.
 */
export function fileDocuments(
  file: string,
  text: string,
  defaultNamespace: string,
  previous: FileDocuments | undefined,
): FileDocuments {
  if (previous?.text === text) return previous;
  const parsed = parseDocuments(text, file, { defaultNamespace });
  const { resources, refused } = parsed;
  if (refused.length === 0 || previous === undefined) {
    return { text, resources, kept: [], diagnostics: parsed.diagnostics };
  }

  const good = new Set(resources.map(resourceKey));
  const isAnyoneUnknown = refused.includes(undefined);
  const kept = previous.resources.filter((resource) => {
    const key = resourceKey(resource);
    return !good.has(key) && (isAnyoneUnknown || refused.includes(key));
  });
  const notes = kept.map((resource): Diagnostic => {
    const message = `${resourceKey(resource)} stays in force as it was before this change`;
    return { ...errorAbout("WEFT0309", message, { file }), severity: "warning" };
  });
  return { text, resources: [...resources, ...kept], kept, diagnostics: [...parsed.diagnostics, ...notes] };
}
