const smallest = 8;

/**
 * The dynamic table that a peer's encoder keeps here (RFC 7541 §2.3.2, §4): names, values and what is known of each name.
 *
 * A ring: the entry that was inserted as the n-th is at `n & mask`; it grows with what is in it.
 */
export class ReceivedTable {
  names: string[] = [];
  values: string[] = [];
  kinds: number[] = [];
  /** Grows with every change: what was decoded under another one may mean something else now. */
  generation = 0;
  maxBytes = 4096;
  #mask = -1;
  #inserted = 0;
  #count = 0;
  #bytes = 0;

  /** Where the entry of `age` is (1 is the newest); -1 when there is none. */
  place(age: number): number {
    return age <= 0 || age > this.#count ? -1 : (this.#inserted - age) & this.#mask;
  }

  /** A number that the entry of `age` keeps while it is in the table. */
  ordinal(age: number): number {
    return this.#inserted - age;
  }

  /** An entry that is too large empties the table (RFC 7541 §4.4). */
  insert(name: string, value: string, kind: number): void {
    const bytes = name.length + value.length + 32;
    this.generation += 1;
    this.#evict(bytes);
    if (bytes > this.maxBytes) return;
    if (this.#count > this.#mask) this.#grow();
    const at = this.#inserted & this.#mask;
    this.names[at] = name;
    this.values[at] = value;
    this.kinds[at] = kind;
    this.#inserted += 1;
    this.#count += 1;
    this.#bytes += bytes;
  }

  resize(maxBytes: number): void {
    this.maxBytes = maxBytes;
    this.generation += 1;
    this.#evict(0);
  }

  #evict(bytes: number): void {
    while (this.#count > 0 && this.#bytes + bytes > this.maxBytes) {
      const at = (this.#inserted - this.#count) & this.#mask;
      this.#bytes -= (this.names[at] as string).length + (this.values[at] as string).length + 32;
      this.names[at] = "";
      this.values[at] = "";
      this.#count -= 1;
    }
  }

  #grow(): void {
    const mask = this.#mask < 0 ? smallest - 1 : this.#mask * 2 + 1;
    const names: string[] = new Array(mask + 1).fill("");
    const values: string[] = new Array(mask + 1).fill("");
    const kinds: number[] = new Array(mask + 1).fill(0);
    for (let n = this.#inserted - this.#count; n < this.#inserted; n += 1) {
      names[n & mask] = this.names[n & this.#mask] as string;
      values[n & mask] = this.values[n & this.#mask] as string;
      kinds[n & mask] = this.kinds[n & this.#mask] as number;
    }
    this.names = names;
    this.values = values;
    this.kinds = kinds;
    this.#mask = mask;
  }
}
