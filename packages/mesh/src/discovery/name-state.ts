import type { Resource } from "./resource-source.ts";

/** What one client has of one name. Subscribing again after unsubscribing makes a new one: the client forgot its copy. */
export interface NameState {
  readonly name: string;
  /** What the client holds once it has read and accepted all that was sent. */
  sent: Resource | undefined;
  /** What it accepted last; on a new stream, what it is known to have accepted before. */
  acked: Resource | undefined;
  /** The content hash that it refused. */
  rejected: string | undefined;
  /** It asked and was not answered yet. */
  isOwed: boolean;
}

/**
 * The content that a client should have for a name, given what the source has (`current`).
 *
 * Refused content is not sent a second time: the client is left with what it accepted last, until the content changes.
 */
export function contentFor(
  state: NameState,
  current: Resource | undefined,
  outlivesRemoval: boolean,
): Resource | undefined {
  if (current === undefined) return outlivesRemoval ? (state.sent ?? state.acked) : undefined;
  if (current.hash !== state.rejected) {
    state.rejected = undefined;
    return current;
  }
  // Whoever asks (again) gets an answer, even one that it refused before: silence would leave it waiting for ever.
  return state.acked ?? (state.isOwed ? current : undefined);
}

/** Notes that the client refused `resource`; it goes on with what it had accepted before. */
export function refuse(state: NameState, resource: Resource): void {
  state.rejected = resource.hash;
  state.sent = state.acked;
}
