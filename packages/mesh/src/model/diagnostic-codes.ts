/** What the reference page says about one diagnostic code. */
export interface DiagnosticDescription {
  readonly title: string;
  /** What to do about it, in one sentence. */
  readonly remedy: string;
}

/**
 * Every diagnostic that Weft gives, in one table: the union of codes and docs/reference/diagnostics.md come from it.
 *
 * Ranges: 00xx text and schema, 01xx references between resources, 02xx registrations and interfaces, 03xx files, ports
 * and start-up, 04xx tokens and credentials, 05xx the admin API. A code never changes its meaning and is never used again.
 */
export const diagnosticCodes = {
  WEFT0001: {
    title: "the text is not YAML",
    remedy: "Mend the text at the place that is named; the parser's own words say what it expected there.",
  },
  WEFT0002: {
    title: "the text exceeds a limit (size, depth, number of documents, aliases)",
    remedy: "Split the file, or write out what its aliases stand for.",
  },
  WEFT0003: {
    title: "a document is not a resource (no apiVersion, kind or metadata)",
    remedy: "Give the document apiVersion, kind and metadata.name, or take it out of the directory.",
  },
  WEFT0004: {
    title: "the kind is unknown",
    remedy: "Check the spelling: kinds are Service, DestinationRule, VirtualService and PeerAuthentication.",
  },
  WEFT0005: {
    title: "a security kind that Weft does not enforce is refused",
    remedy: "Remove the document: keeping it would promise protection that nobody gives.",
  },
  WEFT0006: {
    title: "the apiVersion is unknown for this kind",
    remedy: "Write the version that the hint names.",
  },
  WEFT0007: {
    title: "the same resource is defined twice",
    remedy: "Keep one of the two; the first, by path and line, is in force meanwhile.",
  },
  WEFT0008: {
    title: "a configuration kind of Kubernetes, Istio or the Gateway API is not supported yet",
    remedy: "Remove the document, or express what it does by a kind that is supported.",
  },
  WEFT0010: {
    title: "a field is unknown",
    remedy: "Check the spelling (the hint names the nearest field) and the indentation.",
  },
  WEFT0011: {
    title: "a field has a wrong type or is missing",
    remedy: "Write the field as the message says.",
  },
  WEFT0012: {
    title: "a value is not valid",
    remedy: "Use a value of the form that the message says.",
  },
  WEFT0013: {
    title: "a name is not valid",
    remedy: "Names are of lower-case letters, digits and '-', as Kubernetes has them.",
  },
  WEFT0014: {
    title: "a regular expression is not RE2",
    remedy: "Write it without look-around and back-references, which RE2 does not have.",
  },
  WEFT0015: {
    title: "weights do not add up",
    remedy: "Weights are proportions: give each destination of a route one, and at least one of them more than 0.",
  },
  WEFT0016: {
    title: "an entry is defined twice",
    remedy: "Give each entry of the list a name of its own.",
  },
  WEFT0017: {
    title: "a match can never match a gRPC call",
    remedy: "gRPC paths are /package.Service/Method; match that, or remove the match.",
  },
  WEFT0040: {
    title: "a value that Weft does not support yet is refused",
    remedy: "Leave the value out, or use one that the hint or the message allows.",
  },
  WEFT0041: {
    title: "a field that Weft does not honour would change what the rest means, and is refused",
    remedy: "Remove the field: without it the document means what Weft does.",
  },
  WEFT0042: {
    title: "a field has no effect for gRPC clients",
    remedy: "Nothing breaks; remove the field so that nobody relies on it.",
  },
  WEFT0101: {
    title: "a destination's host is unknown",
    remedy: "Define the Service, or correct the host; short names are looked up in the document's own namespace.",
  },
  WEFT0102: {
    title: "a destination's subset is unknown",
    remedy: "Add the subset to a DestinationRule of that host.",
  },
  WEFT0103: {
    title: "a destination's port is unknown",
    remedy: "Use a port of the Service, by its number.",
  },
  WEFT0104: {
    title: "several VirtualServices have the same host",
    remedy: "Merge them into one; the oldest is in force meanwhile.",
  },
  WEFT0105: {
    title: "DestinationRules of one host contradict each other",
    remedy: "Say it in one of them; subsets unite by name, and the first trafficPolicy counts.",
  },
  WEFT0106: {
    title: "a rule's host is unknown",
    remedy: "Define the Service, or correct the host; the rule takes effect once the host is there.",
  },
  WEFT0107: {
    title: "a rule for another namespace's host has no effect",
    remedy: "Move the rule to the host's own namespace, or to the root namespace.",
  },
  WEFT0108: {
    title: "several PeerAuthentications have the same scope",
    remedy: "Keep one; the oldest is in force meanwhile.",
  },
  WEFT0201: {
    title: "a registration claims more than its credential allows",
    remedy:
      "Make a token that allows it (--label, --any-label, --address, --namespace, --service-account), or claim less.",
  },
  WEFT0202: {
    title: "a registration is malformed or exceeds a limit",
    remedy: "Correct what the message names; an SDK's own registration never is.",
  },
  WEFT0203: {
    title: "an address and port belong to another live instance",
    remedy: "Stop the other instance, or listen on another port; this one is tried again when the other is gone.",
  },
  WEFT0204: {
    title: "a node id belongs to another live instance",
    remedy: "Give each identity a bootstrap of its own.",
  },
  WEFT0205: {
    title: "an interface's name is not valid",
    remedy: "An interface is named by its protobuf full name, such as greet.v1.Greeter.",
  },
  WEFT0206: {
    title: "an interface's name is reserved",
    remedy: "Choose another package than grpc, envoy, istio or weft.",
  },
  WEFT0207: {
    title: "an interface's name is a host's name",
    remedy: "Rename one of the two: what resolves as a host never resolves as an interface.",
  },
  WEFT0208: {
    title: "an interface belongs to another namespace",
    remedy: "Serve it from the namespace that owns it (weft interfaces shows which), or under another name.",
  },
  WEFT0209: {
    title: "the registry holds as many registrations as it may",
    remedy: "Look in weft status for instances that should not be there.",
  },
  WEFT0301: {
    title: "the data directory is in use by another process",
    remedy: "Stop the process that is named, or give this control plane a --data directory of its own.",
  },
  WEFT0302: {
    title: "the store is damaged",
    remedy: "Restore weft.db from a backup, or move it and its -wal file away to begin with an empty store.",
  },
  WEFT0303: {
    title: "the store was written by a newer version",
    remedy: "Start that version, or give another --data directory.",
  },
  WEFT0304: {
    title: "the data directory can be read by other users",
    remedy: "chmod 700 the directory: keys and credentials are kept there.",
  },
  WEFT0305: {
    title: "the data directory can't be used",
    remedy: "Name a directory that this user may write with --data.",
  },
  WEFT0306: {
    title: "a configuration directory or file can't be read",
    remedy: "Make it readable; what it said last stays in force, and it is read again as soon as it can be.",
  },
  WEFT0307: {
    title: "a configuration directory exceeds a limit",
    remedy: "Name a directory that holds configuration and nothing else with --dir.",
  },
  WEFT0308: {
    title: "a resource of the store is hidden by a file",
    remedy: "Delete one of the two; the file counts meanwhile.",
  },
  WEFT0309: {
    title: "a file's resource is kept as it was last good",
    remedy: "Mend the error that stands beside it, or take the document out.",
  },
  WEFT0310: {
    title: "a key of the certificate authority can be read by other users",
    remedy:
      "Take it for known: move the ca directory away, start again with a new authority, and let every workload join anew. Where nobody else has had access to the machine, chmod 600 is enough.",
  },
  WEFT0311: {
    title: "the certificate authority is incomplete or damaged",
    remedy:
      "Restore the ca directory as a whole from a backup. Without one, move it away: the next start makes a new root, which no token and no workload of before trusts.",
  },
  WEFT0312: {
    title: "the certificate authority belongs to another trust domain",
    remedy: "Start with the --trust-domain that the data directory was made for, or with another --data directory.",
  },
  WEFT0313: {
    title: "a port is taken",
    remedy: "Stop the process that is named, or choose another port; auto takes any free one.",
  },
  WEFT0314: {
    title: "an address can't be listened on",
    remedy: "Name an address of this machine with --host, and ports that this user may use (from 1024).",
  },
  WEFT0315: {
    title: "a file under the data directory can't be read or written",
    remedy: "Look at the disk's free space and at the owner and mode of the file that is named.",
  },
  WEFT0401: {
    title: "no such join token",
    remedy: "weft token list shows those that there are.",
  },
  WEFT0402: {
    title: "a join token can't be made as asked",
    remedy: "Correct what the message names.",
  },
  WEFT0501: {
    title: "the request carries no valid credential",
    remedy: "Use the CLI with the same --data directory, or send the bearer token of its admin.json.",
  },
  WEFT0502: {
    title: "the request's Host or Origin is not this API's",
    remedy: "Use the API under the address that weft up printed; pages of other origins may not use it at all.",
  },
  WEFT0503: {
    title: "the request lacks the X-Weft-Request header",
    remedy: "Send X-Weft-Request: 1 with every request that changes something.",
  },
  WEFT0504: {
    title: "the request is too large or malformed",
    remedy: "Apply fewer files at once; the CLI's own requests are never malformed.",
  },
  WEFT0505: {
    title: "no such resource or route",
    remedy: "weft get shows what there is; mind the namespace.",
  },
  WEFT0506: {
    title: "a file defines this resource, so it can't be changed here",
    remedy: "Change the file that is named: files of --dir take precedence over the store.",
  },
  WEFT0507: {
    title: "the store could not be written",
    remedy: "Look at the disk's free space and at the control plane's log; nothing was changed.",
  },
  WEFT0508: {
    title: "the role does not allow this",
    remedy: "Ask somebody with the role that is named.",
  },
  WEFT0509: {
    title: "no control plane can be reached",
    remedy: "Start one with weft up, or name the directory of the running one with --data or WEFT_DATA.",
  },
  WEFT0510: {
    title: "the credential file can't be used",
    remedy: "Run as the user of the control plane; it writes a new file at each start.",
  },
} as const satisfies Readonly<Record<string, DiagnosticDescription>>;

/** A code of the table. */
export type DiagnosticCode = keyof typeof diagnosticCodes;
