/** An identity: `spiffe://<trust domain>/<path>` (SPIFFE-ID §2). Ids compare by `uri`. */
export interface SpiffeId {
  readonly uri: string;
  readonly trustDomain: string;
  /** With its leading slash; empty for the id of the trust domain itself. */
  readonly path: string;
  /** The two parts of `/ns/<namespace>/sa/<service account>`; undefined where the path has another shape. */
  readonly workload: { readonly namespace: string; readonly serviceAccount: string } | undefined;
}

const longestUri = 2048;
const pattern = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)*)$/;
const workloadPath = /^\/ns\/([^/]+)\/sa\/([^/]+)$/;

/** The identity that `uri` spells, or undefined where it is none: strict, as SPIFFE-ID §2 demands (no escapes, no dot segments, no port). */
export function parseSpiffeId(uri: string): SpiffeId | undefined {
  if (uri.length > longestUri) return undefined;
  const [, trustDomain, path] = pattern.exec(uri) ?? [];
  if (trustDomain === undefined || path === undefined) return undefined;
  if (path.split("/").some((segment) => segment === "." || segment === "..")) return undefined;
  const [, namespace, serviceAccount] = workloadPath.exec(path) ?? [];
  const workload = namespace === undefined || serviceAccount === undefined ? undefined : { namespace, serviceAccount };
  return { uri, trustDomain, path, workload };
}

/** `spiffe://<trust domain>/ns/<namespace>/sa/<service account>` as Istio spells it; throws where a part has characters that an id cannot carry. */
export function workloadSpiffeId(trustDomain: string, namespace: string, serviceAccount: string): SpiffeId {
  const id = parseSpiffeId(`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount}`);
  if (id?.workload === undefined) {
    throw new Error(`no SPIFFE id can be made of "${trustDomain}", "${namespace}" and "${serviceAccount}"`);
  }
  return id;
}
