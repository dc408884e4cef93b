import type { Keepsake } from "./keepsakes.ts";
import type { Resource } from "./resource-source.ts";

/** What one client has of one name. Subscribing again after unsubscribing makes a new one: the client forgot its copy. */
export interface NameState {
  readonly name: string;
  /** What the client holds once it has read and accepted all that was sent. */
  sent: Resource | undefined;
  /** What it accepted last; on a new stream, what it is known to have accepted before. */
  acked: Resource | undefined;
  /** What an earlier stream sent that ended before the client answered: it may run this, or have refused it. */
  presumed: Resource | undefined;
  /** The content hash that it refused. */
  rejected: string | undefined;
  /** It asked and was not answered yet. */
  isOwed: boolean;
}

/** The state of a name that a stream asks for the first time; `kept`: what the client had of it on an earlier stream. */
export function askedFirst(name: string, kept: Keepsake | undefined): NameState {
  const acked = kept?.isAccepted === true ? kept.resource : undefined;
  const presumed = kept?.isAccepted === false ? kept.resource : undefined;
  return { name, sent: undefined, acked, presumed, rejected: undefined, isOwed: true };
}

/** The state of a name that comes back after it was dropped: what is known of the client's answers still holds. */
export function askedAgain(before: NameState): NameState {
  return { ...before, sent: undefined, isOwed: true };
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
  if (current === undefined) return outlivesRemoval ? (state.sent ?? lastGood(state)) : undefined;
  if (current.hash !== state.rejected) {
    state.rejected = undefined;
    return current;
  }
  // Whoever asks (again) gets an answer, even one that it refused before: silence would leave it waiting for ever.
  return lastGood(state) ?? (state.isOwed ? current : undefined);
}

/** Notes that the client accepted `resource`, or, undefined, that the name is gone. */
export function accept(state: NameState, resource: Resource | undefined): void {
  state.acked = resource;
  state.presumed = undefined;
}

/** Notes that the client refused `resource`; it goes on with what it had accepted before. */
export function refuse(state: NameState, resource: Resource): void {
  state.rejected = resource.hash;
  if (state.presumed?.hash === resource.hash) state.presumed = undefined;
  // Not `presumed`: whether the client has that, nobody knows, and what it is thought to have is not sent again.
  state.sent = state.acked;
}

/** The best of what the client may run now, as far as its answers tell. */
export function lastGood(state: NameState): Resource | undefined {
  return state.acked ?? state.presumed;
}
