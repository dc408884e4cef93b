/**
 * What the discovery engine serves: the seam between "what" (a source of encoded resources) and "how" (streams, nonces, ACKs).
 *
 * An audience is who asks, as far as that changes the answer; the engine passes it through without looking at it.
 */
export interface ResourceSource<Audience> {
  /**
   * Opens one reader's view. `changed` is called from inside the source's own update, as often as it likes, and must
   * only take note; by then `get` and `list` of every view already give the whole new state, never half of it. A resource
   * whose bytes stayed equal is not announced. The reader closes the view.
   */
  watch(audience: Audience, changed: ResourceChanged): ResourceWatch;
}

/** Called with the name that changed, came or went; with no name when the type's list of names did. */
export type ResourceChanged = (typeUrl: string, name: string | undefined) => void;

/** One reader's view of a source. */
export interface ResourceWatch {
  /** Declares interest: from now on `get` answers for this name, and changes of it are announced. */
  subscribe(typeUrl: string, name: string): void;
  unsubscribe(typeUrl: string, name: string): void;
  /** The newest publishable form of a subscribed name; undefined where there is no such resource for this audience. */
  get(typeUrl: string, name: string): Resource | undefined;
  /** All names of a type for this audience (wildcard subscribers); the first call declares interest in the list. */
  list(typeUrl: string): readonly string[];
  close(): void;
}

/** A resource, encoded once and shared by every stream that carries it. */
export interface Resource {
  readonly name: string;
  /** An encoded google.protobuf.Any. */
  readonly any: Uint8Array;
  /** Of the content: equal hashes mean equal bytes. */
  readonly hash: string;
}
