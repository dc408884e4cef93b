const smallestSlots = 8;
const maxBytes = 16 * 1024;
const noBytes = Buffer.allocUnsafeSlow(0);

/** The string that came last at one place of header blocks, and its text. */
export class SeenText {
  readonly key: number;
  at = 0;
  room = 0;
  length = -1;
  isHuffman = false;
  text = "";
  /** Of a name: its `NameKind`. */
  kind = 0;
  /** Of a value: whether it may be carried. */
  isValid = true;
  misses = 0;

  constructor(key: number) {
    this.key = key;
  }
}

/**
 * For each place where header blocks spell out a string, the last one there: a token that comes with every call is compared, not
 * decoded. One connection's; bounded in bytes, its places by who asks, and as small as what it saw.
 */
export class SeenTexts {
  #slots: (SeenText | undefined)[] = [];
  #mask = -1;
  #count = 0;
  /** The strings as they were received. */
  #bytes: Buffer = noBytes;
  #used = 0;

  /** What is known of place `key`, a small number. */
  at(key: number): SeenText {
    const slots = this.#slots;
    const mask = this.#mask;
    for (let slot = key & mask; mask >= 0; slot = (slot + 1) & mask) {
      const seen = slots[slot];
      if (seen === undefined) break;
      if (seen.key === key) return seen;
    }
    return this.#add(key);
  }

  matches(seen: SeenText, bytes: Buffer, start: number, length: number, isHuffman: boolean): boolean {
    if (seen.length !== length || seen.isHuffman !== isHuffman) return false;
    const kept = this.#bytes;
    const from = seen.at;
    if (length > 96) return bytes.compare(kept, from, from + length, start, start + length) === 0;
    for (let i = 0; i < length; i += 1) if (kept[from + i] !== bytes[start + i]) return false;
    return true;
  }

  /** Keeps a string unless there is no room; says whether it did. What goes with it is the caller's to set. */
  keep(seen: SeenText, bytes: Buffer, start: number, length: number, isHuffman: boolean): boolean {
    if (length > seen.room && !this.#makeRoom(seen, length)) return false;
    bytes.copy(this.#bytes, seen.at, start, start + length);
    seen.length = length;
    seen.isHuffman = isHuffman;
    return true;
  }

  #makeRoom(seen: SeenText, length: number): boolean {
    // room for a value that grows a little; the old place is lost, which at most doubles what is used
    const room = Math.max(16, length + (length >> 2));
    const size = this.#used + room;
    if (size > maxBytes) return false;
    if (size > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(maxBytes, Math.max(192, size + (size >> 1))));
      this.#bytes.copy(larger, 0, 0, this.#used);
      this.#bytes = larger;
    }
    seen.at = this.#used;
    seen.room = room;
    this.#used = size;
    return true;
  }

  #add(key: number): SeenText {
    // a quarter stays free, so that a search ends soon
    if (this.#count * 4 >= (this.#mask + 1) * 3) this.#grow();
    const seen = new SeenText(key);
    this.#place(seen);
    this.#count += 1;
    return seen;
  }

  #place(seen: SeenText): void {
    let slot = seen.key & this.#mask;
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = seen;
  }

  #grow(): void {
    const old = this.#slots;
    this.#mask = this.#mask < 0 ? smallestSlots - 1 : this.#mask * 2 + 1;
    this.#slots = new Array(this.#mask + 1).fill(undefined);
    for (const seen of old) if (seen !== undefined) this.#place(seen);
  }
}
