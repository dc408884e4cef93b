import type { Http2Stream } from "./stream.ts";

const smallest = 16;
const largest = 8192;

/**
 * The open streams of one connection, by id.
 *
 * A ring indexed by id: streams come and go in order, so a slot is free again by the time its turn comes round, and nothing is
 * hashed or allocated a stream (a Map that churns keeps dead tables alive in the collector). A stream that is still open when
 * its slot's turn comes moves to a Map; these are few.
 */
export class StreamTable {
  size = 0;
  #ring: (Http2Stream | undefined)[] = new Array(smallest).fill(undefined);
  #mask = smallest - 1;
  #longLived: Map<number, Http2Stream> | undefined;

  get(id: number): Http2Stream | undefined {
    const stream = this.#ring[(id >> 1) & this.#mask];
    if (stream !== undefined && stream.id === id) return stream;
    return this.#longLived === undefined ? undefined : this.#longLived.get(id);
  }

  add(stream: Http2Stream): void {
    if (this.size > this.#mask >> 1 && this.#mask < largest - 1) this.#grow();
    this.#place(stream);
    this.size += 1;
  }

  delete(stream: Http2Stream): void {
    const slot = (stream.id >> 1) & this.#mask;
    if (this.#ring[slot] === stream) this.#ring[slot] = undefined;
    else if (this.#longLived?.delete(stream.id) !== true) return;
    this.size -= 1;
  }

  /** All open streams, oldest first; a copy, so that the table may change while one walks it. */
  toArray(): Http2Stream[] {
    const streams = this.#longLived === undefined ? [] : [...this.#longLived.values()];
    for (const stream of this.#ring) if (stream !== undefined) streams.push(stream);
    return streams.sort((a, b) => a.id - b.id);
  }

  #place(stream: Http2Stream): void {
    const slot = (stream.id >> 1) & this.#mask;
    const occupant = this.#ring[slot];
    if (occupant !== undefined) {
      this.#longLived ??= new Map();
      this.#longLived.set(occupant.id, occupant);
    }
    this.#ring[slot] = stream;
  }

  #grow(): void {
    const streams = this.toArray();
    this.#mask = this.#mask * 2 + 1;
    this.#ring = new Array(this.#mask + 1).fill(undefined);
    this.#longLived = undefined;
    for (const stream of streams) this.#place(stream);
  }
}
