import { isMap, LineCounter, parseAllDocuments } from "yaml";
import { parseDocuments } from "../model/parse.ts";
import { type Resource, resourceKey } from "../model/resource.ts";
import { type OperationDiagnostic, operationError } from "../store/diagnostic-codes.ts";

/** What one file contributes: its good documents, and for its bad ones what they last said when they were good. */
export interface FileDocuments {
  readonly text: string;
  readonly resources: readonly Resource[];
  readonly diagnostics: readonly OperationDiagnostic[];
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
  const errors = parsed.diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  if (errors.length === 0 || previous === undefined) return { text, ...parsed };

  const good = new Set(parsed.resources.map(resourceKey));
  const broken = brokenKeys(text, new Set(errors.map((error) => error.at.line)), defaultNamespace);
  const kept = previous.resources.filter((resource) => {
    const key = resourceKey(resource);
    return !good.has(key) && (broken === "unknown" || broken.has(key));
  });
  const notes = kept.map((resource): OperationDiagnostic => {
    const message = `${resourceKey(resource)} stays in force as it was before this change`;
    return { ...operationError("WEFT0309", message, { file }), severity: "warning" };
  });
  return { text, resources: [...parsed.resources, ...kept], diagnostics: [...parsed.diagnostics, ...notes] };
}

/** The keys of the documents that contain one of these lines, as far as they still say who they are. */
function brokenKeys(
  text: string,
  lines: ReadonlySet<number>,
  defaultNamespace: string,
): ReadonlySet<string> | "unknown" {
  const counter = new LineCounter();
  const keys = new Set<string>();
  for (const document of parseAllDocuments(text, { lineCounter: counter, uniqueKeys: false })) {
    const [start, , end] = document.range;
    const first = counter.linePos(start).line;
    const last = counter.linePos(end).line;
    if (![...lines].some((line) => line >= first && line <= last)) continue;
    if (document.errors.length > 0 || !isMap(document.contents)) return "unknown";
    const [kind, name, namespace] = [["kind"], ["metadata", "name"], ["metadata", "namespace"]].map((path) =>
      document.getIn(path),
    );
    // The items of a List are resources of their own; which of them is broken can't be told from its lines alone.
    if (typeof kind !== "string" || typeof name !== "string" || kind.endsWith("List")) return "unknown";
    keys.add(`${kind}/${typeof namespace === "string" ? namespace : defaultNamespace}/${name}`);
  }
  return keys.size === 0 ? "unknown" : keys;
}
