/** What the documentation says about one diagnostic code. */
export interface DiagnosticDescription {
  readonly title: string;
}

/**
 * Every diagnostic that Weft gives, in one table: the union of codes, the reference page and `weft explain` come from it.
 *
 * Ranges: 00xx text and schema, 01xx references between resources, 02xx registrations and interfaces, 03xx ports and
 * start-up, 04xx tokens and credentials, 05xx the admin API. A code never changes its meaning and is never used again.
 */
export const diagnosticCodes = {
  WEFT0001: { title: "the text is not YAML" },
  WEFT0002: { title: "the text exceeds a limit (size, depth, number of documents, aliases)" },
  WEFT0003: { title: "a document is not a resource (no apiVersion, kind or metadata)" },
  WEFT0004: { title: "the kind is unknown" },
  WEFT0005: { title: "a security kind that Weft does not enforce is refused" },
  WEFT0006: { title: "the apiVersion is unknown for this kind" },
  WEFT0007: { title: "the same resource is defined twice" },
  WEFT0008: { title: "a configuration kind of Kubernetes, Istio or the Gateway API is not supported yet" },
  WEFT0010: { title: "a field is unknown" },
  WEFT0011: { title: "a field has a wrong type or is missing" },
  WEFT0012: { title: "a value is not valid" },
  WEFT0013: { title: "a name is not valid" },
  WEFT0014: { title: "a regular expression is not RE2" },
  WEFT0015: { title: "weights do not add up" },
  WEFT0016: { title: "an entry is defined twice" },
  WEFT0017: { title: "a match can never match a gRPC call" },
  WEFT0040: { title: "a value that Weft does not support yet is refused" },
  WEFT0041: { title: "a field that Weft does not honour would change what the rest means, and is refused" },
  WEFT0042: { title: "a field has no effect for gRPC clients" },
  WEFT0101: { title: "a destination's host is unknown" },
  WEFT0102: { title: "a destination's subset is unknown" },
  WEFT0103: { title: "a destination's port is unknown" },
  WEFT0104: { title: "several VirtualServices have the same host" },
  WEFT0105: { title: "DestinationRules of one host contradict each other" },
  WEFT0106: { title: "a rule's host is unknown" },
  WEFT0107: { title: "a rule for another namespace's host has no effect" },
  WEFT0108: { title: "several PeerAuthentications have the same scope" },
} as const satisfies Readonly<Record<string, DiagnosticDescription>>;

/** A code of the table. */
export type DiagnosticCode = keyof typeof diagnosticCodes;
