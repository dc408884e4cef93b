/** How a stream that is gone had ended. */
export const Ending = { unknown: 0, byUs: 1, byPeer: 2, normal: 3 } as const;

const remembered = 64;

/**
 * Remembers how the last streams ended: frames that were under way when we reset a stream are ignored, frames after the peer's own
 * end are errors (RFC 9113 §5.1, closed). Also knows the last ids that were skipped, which never were streams.
 */
export class ClosedStreams {
  // a client's ids are odd: all of an id but its last bit, and the ending, are 32 bits
  #endings: Uint32Array | undefined;
  #skippedFrom = 0;
  #skippedTo = 0;

  note(id: number, ending: number): void {
    this.#endings ??= new Uint32Array(remembered);
    this.#endings[(id >> 1) & (remembered - 1)] = ((id >> 1) << 2) | ending;
  }

  endingOf(id: number): number {
    if (this.#endings === undefined) return Ending.unknown;
    const noted = this.#endings[(id >> 1) & (remembered - 1)] as number;
    return noted >>> 2 === id >> 1 ? noted & 3 : Ending.unknown;
  }

  /** The peer went from stream `last` to `next`; ids between are closed without ever having been used. */
  noteSkip(last: number, next: number): void {
    if (next - last <= 2) return;
    this.#skippedFrom = last + 1;
    this.#skippedTo = next;
  }

  wasSkipped(id: number): boolean {
    return id >= this.#skippedFrom && id < this.#skippedTo;
  }
}
