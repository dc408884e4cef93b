// HPACK decoding (RFC 7541). Over 300 lines because the byte-level readers share one cursor.
//
// Three memories make repeated blocks cheap, each bounded: runs of indexed fields that blocks start with (or consist of); names spelled out; and,
// for each place in the tables, the last value spelled out there (a token that comes with every call is compared, not decoded).
import { NameKind, nameKindOf } from "../field-rules.ts";
import { FieldSection } from "./field-section.ts";
import { decodeHuffman } from "./huffman.ts";
import { staticLength, staticTable } from "./static-table.ts";

const cachedRunBytes = 32;
const cachedRuns = 16;
const memoBytes = 16 * 1024;
const memoNameBytes = 64;
// memo slots: static names, places of the dynamic table, names spelled out
const dynamicSlots = 64;
const dynamicSlotCount = 64;
const literalSlots = dynamicSlots + dynamicSlotCount;
const literalSlotCount = 32;

const staticKinds = new Uint8Array(staticLength + 1);
for (let i = 1; i <= staticLength; i += 1) staticKinds[i] = nameKindOf(staticTable[i * 2 - 2] as string);

// octets that a field value may not have: controls but tab
const badOctets = new Uint8Array(256);
for (let c = 0; c < 0x20; c += 1) badOctets[c] = c === 0x09 ? 0 : 1;
badOctets[0x7f] = 1;

const noBytes = Buffer.allocUnsafeSlow(0);

class Memo {
  raw: Buffer = noBytes;
  length = -1;
  isHuffman = false;
  text = "";
  /** Of a value: whether it may be carried. */
  isValid = true;
  /** Of a name. */
  kind = 0;
  misses = 0;

  matches(bytes: Buffer, start: number, length: number, isHuffman: boolean): boolean {
    if (this.length !== length || this.isHuffman !== isHuffman) return false;
    const { raw } = this;
    if (length > 96) return bytes.compare(raw, 0, length, start, start + length) === 0;
    for (let i = 0; i < length; i += 1) if (raw[i] !== bytes[start + i]) return false;
    return true;
  }

  keep(bytes: Buffer, start: number, length: number, isHuffman: boolean): void {
    if (this.raw.length < length) this.raw = Buffer.allocUnsafeSlow(length + 16);
    bytes.copy(this.raw, 0, start, start + length);
    this.length = length;
    this.isHuffman = isHuffman;
  }
}

class CachedRun {
  readonly bytes = new Uint8Array(cachedRunBytes);
  length = 0;
  hash = 0;
  generation = -1;
  section: FieldSection | undefined;
}

/** One connection's decoder and its dynamic table. */
export class HpackDecoder {
  /** Why the last `decode` returned undefined. */
  problem = "";
  readonly #maxListBytes: number;
  readonly #section: FieldSection;
  #bytes: Buffer = noBytes;
  #at = 0;
  #end = 0;
  #valueIsValid = true;
  #nameText = "";
  #nameKind = 0;

  // the dynamic table: a ring; entry n (in order of insertion) is at n & mask
  #names: string[] = [];
  #values: string[] = [];
  #kinds: number[] = [];
  #mask = -1;
  #inserted = 0;
  #count = 0;
  /** Grows with every change of the table: what was decoded under another one may mean something else now. */
  #generation = 0;
  #tableBytes = 0;
  #maxTableBytes = 4096;
  #allowedTableBytes = 4096;
  #resizes = 0;

  #memos: (Memo | undefined)[] = [];
  #nameMemos: (Memo | undefined)[] = [];
  #runs: (CachedRun | undefined)[] = [];
  #memoBudget = memoBytes;
  #scratch: Buffer | undefined;

  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes;
    this.#section = new FieldSection(maxListBytes);
  }

  /** The table size that our SETTINGS allow the peer's encoder, once it acknowledged them. A smaller one must be confirmed by its next block. */
  allowTableBytes(bytes: number): void {
    this.#allowedTableBytes = bytes;
  }

  /**
   * Decodes one whole header block. The section is valid until the next call; its list may be shared and must not be changed.
   * Undefined when the block can't be decoded (`problem`): the connection's state is lost (COMPRESSION_ERROR).
   */
  decode(bytes: Buffer, start: number, end: number): FieldSection | undefined {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.problem = "";
    const section = this.#section;
    if (this.#maxTableBytes > this.#allowedTableBytes) {
      section.reset();
      return this.#decodeFields(section, false);
    }
    let at = start;
    let hash = 0;
    const limit = end - start > cachedRunBytes ? start + cachedRunBytes : end;
    for (; at < limit; at += 1) {
      const byte = bytes[at] as number;
      if (byte < 0x80 || byte === 0xff) break;
      hash = (Math.imul(hash, 31) + byte) | 0;
    }
    const length = at - start;
    if (length === 0) {
      section.reset();
      return this.#decodeFields(section, false);
    }
    const known = this.#knownRun(hash, start, length);
    if (known !== undefined) {
      if (at === end) return known;
      section.copy(known);
      this.#at = at;
    } else {
      section.reset();
    }
    return this.#decodeFields(section, known !== undefined);
  }

  /** What a run of `length` indexed fields at `start` stands for, if it was decoded twice before under this table. */
  #knownRun(hash: number, start: number, length: number): FieldSection | undefined {
    const index = (hash ^ (hash >>> 8)) & (cachedRuns - 1);
    let run = this.#runs[index];
    const generation = this.#generation;
    if (run === undefined) {
      run = new CachedRun();
      this.#runs[index] = run;
    }
    if (run.hash !== hash || run.length !== length || run.generation !== generation) {
      run.hash = hash;
      run.length = length;
      run.generation = generation;
      run.section = undefined;
      return undefined;
    }
    if (run.section !== undefined) return sameBytes(run.bytes, this.#bytes, start, length) ? run.section : undefined;
    // a second time: worth keeping
    const section = new FieldSection(this.#maxListBytes);
    for (let i = 0; i < length; i += 1) {
      const byte = this.#bytes[start + i] as number;
      run.bytes[i] = byte;
      if (!this.#addIndexed(section, byte & 0x7f)) return undefined;
    }
    run.section = section;
    return section;
  }

  #decodeFields(section: FieldSection, afterField: boolean): FieldSection | undefined {
    const bytes = this.#bytes;
    this.#resizes = 0;
    let sawField = afterField;
    while (this.#at < this.#end) {
      const first = bytes[this.#at] as number;
      if ((first & 0xe0) === 0x20) {
        if (sawField) return this.#fail("table size update after a field");
        if (!this.#resize()) return undefined;
        continue;
      }
      if (!sawField) {
        sawField = true;
        if (this.#maxTableBytes > this.#allowedTableBytes)
          return this.#fail("the smaller table size was not confirmed");
      }
      if (first >= 0x80) {
        const index = this.#integer(first & 0x7f, 0x7f);
        if (!this.#addIndexed(section, index)) return undefined;
      } else if (first >= 0x40) {
        if (!this.#addLiteral(section, this.#integer(first & 0x3f, 0x3f), true)) return undefined;
      } else if (!this.#addLiteral(section, this.#integer(first & 0x0f, 0x0f), false)) {
        return undefined;
      }
    }
    return this.problem === "" ? section : undefined;
  }

  #fail(problem: string): undefined {
    this.problem = problem;
    return undefined;
  }

  /** The integer whose prefix (in the byte at the cursor) is `prefix`; -1 when it is broken or beyond 2^28 (RFC 7541 §5.1). */
  #integer(prefix: number, mask: number): number {
    this.#at += 1;
    if (prefix < mask) return prefix;
    let value = mask;
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#end) break;
      const byte = this.#bytes[this.#at] as number;
      this.#at += 1;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    this.problem = "broken integer";
    return -1;
  }

  #resize(): boolean {
    const size = this.#integer((this.#bytes[this.#at] as number) & 0x1f, 0x1f);
    this.#resizes += 1;
    if (size < 0 || size > this.#allowedTableBytes || this.#resizes > 2) {
      this.problem = "bad table size update";
      return false;
    }
    this.#maxTableBytes = size;
    this.#generation += 1;
    this.#evict(0);
    return true;
  }

  #addIndexed(section: FieldSection, index: number): boolean {
    if (index > 0 && index <= staticLength) {
      section.add(
        staticTable[index * 2 - 2] as string,
        staticTable[index * 2 - 1] as string,
        staticKinds[index] as number,
      );
      return true;
    }
    const age = index - staticLength;
    if (index <= 0 || age > this.#count) {
      this.problem = `no table entry ${index}`;
      return false;
    }
    const at = (this.#inserted - age) & this.#mask;
    section.add(this.#names[at] as string, this.#values[at] as string, this.#kinds[at] as number);
    return true;
  }

  #addLiteral(section: FieldSection, index: number, isIndexed: boolean): boolean {
    if (index < 0) return false;
    let name: string;
    let kind: number;
    let slot: number;
    if (index === 0) {
      slot = this.#literalName();
      if (slot < 0) return false;
      name = this.#nameText;
      kind = this.#nameKind;
      slot += literalSlots;
    } else if (index <= staticLength) {
      name = staticTable[index * 2 - 2] as string;
      kind = staticKinds[index] as number;
      slot = index;
    } else {
      const age = index - staticLength;
      if (age > this.#count) {
        this.problem = `no table entry ${index}`;
        return false;
      }
      const at = (this.#inserted - age) & this.#mask;
      name = this.#names[at] as string;
      // the entry's kind may be that of its bad value; the name's own is what counts here
      kind = this.#kinds[at] as number;
      if (kind === NameKind.forbidden) kind = nameKindOf(name);
      slot = dynamicSlots + ((this.#inserted - age) & (dynamicSlotCount - 1));
    }
    const value = this.#value(slot);
    if (value === undefined) return false;
    const judged = this.#valueIsValid ? kind : NameKind.forbidden;
    if (isIndexed) this.#insert(name, value, judged);
    section.add(name, value, judged);
    return true;
  }

  /** Reads a name spelled out into `#nameText` and `#nameKind`; returns its memo's slot, -1 when it is broken. */
  #literalName(): number {
    const prefix = this.#bytes[this.#at] as number;
    const isHuffman = this.#at < this.#end && prefix >= 0x80;
    const length = this.#at < this.#end ? this.#integer(prefix & 0x7f, 0x7f) : -1;
    const start = this.#at;
    if (length < 0 || length > this.#end - start) {
      this.problem = "broken string";
      return -1;
    }
    const bytes = this.#bytes;
    this.#at = start + length;
    let slot = length;
    if (length > 0) {
      slot = Math.imul(slot, 31) + (bytes[start] as number);
      slot = Math.imul(slot, 31) + (bytes[start + (length >> 1)] as number);
      slot = Math.imul(slot, 31) + (bytes[start + length - 1] as number);
    }
    slot = (slot ^ (slot >> 5)) & (literalSlotCount - 1);
    let memo = this.#nameMemos[slot];
    if (memo === undefined) {
      memo = new Memo();
      this.#nameMemos[slot] = memo;
    }
    if (!memo.matches(bytes, start, length, isHuffman)) {
      const text = this.#text(start, length, isHuffman);
      if (text === undefined) return -1;
      this.#nameText = text;
      this.#nameKind = nameKindOf(text);
      if (length <= memoNameBytes) {
        memo.keep(bytes, start, length, isHuffman);
        memo.text = text;
        memo.kind = this.#nameKind;
      }
    } else {
      this.#nameText = memo.text;
      this.#nameKind = memo.kind;
    }
    return slot;
  }

  #value(slot: number): string | undefined {
    const prefix = this.#bytes[this.#at] as number;
    const isHuffman = this.#at < this.#end && prefix >= 0x80;
    const length = this.#at < this.#end ? this.#integer(prefix & 0x7f, 0x7f) : -1;
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return this.#fail("broken string");
    this.#at = start + length;
    this.#valueIsValid = true;
    if (length === 0) return "";
    let memo = this.#memos[slot];
    if (memo === undefined) {
      memo = new Memo();
      this.#memos[slot] = memo;
    }
    if (memo.matches(this.#bytes, start, length, isHuffman)) {
      memo.misses = 0;
      this.#valueIsValid = memo.isValid;
      return memo.text;
    }
    const text = this.#text(start, length, isHuffman);
    if (text === undefined) return undefined;
    const isValid = this.#judge(text.length, start, isHuffman);
    this.#valueIsValid = isValid;
    // values that never come twice (ids) are not worth keeping; look again now and then
    memo.misses += 1;
    if (length <= this.#memoBudget && (memo.misses <= 8 || (memo.misses & 63) === 0)) {
      this.#memoBudget -= Math.max(0, length - memo.raw.length);
      memo.keep(this.#bytes, start, length, isHuffman);
      memo.text = text;
      memo.isValid = isValid;
    }
    return text;
  }

  /** The text of a string; of Huffman code, its octets stay in the scratch buffer. */
  #text(start: number, length: number, isHuffman: boolean): string | undefined {
    if (!isHuffman)
      return length > 6 ? this.#bytes.toString("latin1", start, start + length) : this.#shortText(start, length);
    let scratch = this.#scratch;
    if (scratch === undefined || scratch.length < length * 2) {
      scratch = Buffer.allocUnsafeSlow(Math.max(256, length * 2));
      this.#scratch = scratch;
    }
    const size = decodeHuffman(this.#bytes, start, start + length, scratch);
    return size < 0 ? this.#fail("broken Huffman code") : scratch.toString("latin1", 0, size);
  }

  /** A call into the runtime costs more than a few characters. */
  #shortText(start: number, length: number): string {
    let text = "";
    for (let i = start; i < start + length; i += 1) text += String.fromCharCode(this.#bytes[i] as number);
    return text;
  }

  #judge(size: number, start: number, isHuffman: boolean): boolean {
    const bytes = isHuffman ? (this.#scratch as Buffer) : this.#bytes;
    const from = isHuffman ? 0 : start;
    let bad = 0;
    for (let i = from; i < from + size; i += 1) bad |= badOctets[bytes[i] as number] as number;
    const first = bytes[from] as number;
    const last = bytes[from + size - 1] as number;
    return size === 0 || (bad === 0 && first !== 0x20 && first !== 0x09 && last !== 0x20 && last !== 0x09);
  }

  #insert(name: string, value: string, kind: number): void {
    const bytes = name.length + value.length + 32;
    this.#generation += 1;
    this.#evict(bytes);
    if (bytes > this.#maxTableBytes) return;
    if (this.#count > this.#mask) this.#grow();
    const at = this.#inserted & this.#mask;
    this.#names[at] = name;
    this.#values[at] = value;
    this.#kinds[at] = kind;
    this.#inserted += 1;
    this.#count += 1;
    this.#tableBytes += bytes;
  }

  /** Makes room for `bytes`; the whole table goes when they don't fit at all (RFC 7541 §4.4). */
  #evict(bytes: number): void {
    while (this.#count > 0 && this.#tableBytes + bytes > this.#maxTableBytes) {
      const at = (this.#inserted - this.#count) & this.#mask;
      this.#tableBytes -= (this.#names[at] as string).length + (this.#values[at] as string).length + 32;
      this.#names[at] = "";
      this.#values[at] = "";
      this.#count -= 1;
    }
  }

  #grow(): void {
    const mask = this.#mask < 0 ? 15 : this.#mask * 2 + 1;
    const names: string[] = new Array(mask + 1).fill("");
    const values: string[] = new Array(mask + 1).fill("");
    const kinds: number[] = new Array(mask + 1).fill(0);
    for (let n = this.#inserted - this.#count; n < this.#inserted; n += 1) {
      names[n & mask] = this.#names[n & this.#mask] as string;
      values[n & mask] = this.#values[n & this.#mask] as string;
      kinds[n & mask] = this.#kinds[n & this.#mask] as number;
    }
    this.#names = names;
    this.#values = values;
    this.#kinds = kinds;
    this.#mask = mask;
  }
}

function sameBytes(kept: Uint8Array, bytes: Buffer, start: number, length: number): boolean {
  for (let i = 0; i < length; i += 1) if (kept[i] !== bytes[start + i]) return false;
  return true;
}
