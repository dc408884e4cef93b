// HPACK decoding (RFC 7541). Over 300 lines because the byte-level readers share one cursor.
//
// Two memories make repeated blocks cheap, each bounded: runs of indexed fields that blocks start with (or consist of), and the last
// strings spelled out (`SeenTexts`).
import { NameKind, nameKindOf } from "../field-rules.ts";
import { FieldSection } from "./field-section.ts";
import { decodeHuffman } from "./huffman.ts";
import { ReceivedTable } from "./received-table.ts";
import { SeenTexts } from "./seen-texts.ts";
import { staticLength, staticTable } from "./static-table.ts";

const cachedRunBytes = 32;
const cachedRuns = 16;
const seenNameBytes = 64;
// places of seen texts: values of static names, of the dynamic table's entries, of names spelled out; these names
const dynamicPlaces = 64;
const dynamicPlaceCount = 64;
const literalPlaces = dynamicPlaces + dynamicPlaceCount;
const literalPlaceCount = 32;
const namePlaces = literalPlaces + literalPlaceCount;

const staticKinds = new Uint8Array(staticLength + 1);
for (let i = 1; i <= staticLength; i += 1) staticKinds[i] = nameKindOf(staticTable[i * 2 - 2] as string);

// octets that a field value may not have: controls but tab
const badOctets = new Uint8Array(256);
for (let c = 0; c < 0x20; c += 1) badOctets[c] = c === 0x09 ? 0 : 1;
badOctets[0x7f] = 1;

const noBytes = Buffer.allocUnsafeSlow(0);

const noRun = new Uint8Array(0);

// One process decodes one block at a time: Huffman code is undone in a buffer that all connections share.
let scratch: Buffer = Buffer.allocUnsafeSlow(512);

class CachedRun {
  bytes = noRun;
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

  readonly #table = new ReceivedTable();
  readonly #seen = new SeenTexts();
  #allowedTableBytes = 4096;
  #resizes = 0;
  #runs: (CachedRun | undefined)[] | undefined;

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
    const section = this.#decode(start, end);
    // the receive buffer is not ours to keep alive
    this.#bytes = noBytes;
    return section;
  }

  #decode(start: number, end: number): FieldSection | undefined {
    const bytes = this.#bytes;
    this.#at = start;
    this.#end = end;
    this.problem = "";
    const section = this.#section;
    if (this.#table.maxBytes > this.#allowedTableBytes) {
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
    this.#runs ??= new Array(cachedRuns).fill(undefined);
    let run = this.#runs[index];
    const { generation } = this.#table;
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
    run.bytes = new Uint8Array(length);
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
        if (this.#table.maxBytes > this.#allowedTableBytes)
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
    this.#table.resize(size);
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
    const table = this.#table;
    const at = table.place(index - staticLength);
    if (at < 0) {
      this.problem = `no table entry ${index}`;
      return false;
    }
    section.add(table.names[at] as string, table.values[at] as string, table.kinds[at] as number);
    return true;
  }

  #addLiteral(section: FieldSection, index: number, isIndexed: boolean): boolean {
    if (index < 0) return false;
    let name: string;
    let kind: number;
    let place: number;
    if (index === 0) {
      place = this.#literalName();
      if (place < 0) return false;
      name = this.#nameText;
      kind = this.#nameKind;
      place += literalPlaces;
    } else if (index <= staticLength) {
      name = staticTable[index * 2 - 2] as string;
      kind = staticKinds[index] as number;
      place = index;
    } else {
      const table = this.#table;
      const age = index - staticLength;
      const at = table.place(age);
      if (at < 0) {
        this.problem = `no table entry ${index}`;
        return false;
      }
      name = table.names[at] as string;
      // the entry's kind may be that of its bad value; the name's own is what counts here
      kind = table.kinds[at] as number;
      if (kind === NameKind.forbidden) kind = nameKindOf(name);
      place = dynamicPlaces + (table.ordinal(age) & (dynamicPlaceCount - 1));
    }
    const value = this.#value(place);
    if (value === undefined) return false;
    const judged = this.#valueIsValid ? kind : NameKind.forbidden;
    if (isIndexed) this.#table.insert(name, value, judged);
    section.add(name, value, judged);
    return true;
  }

  /** Reads a name spelled out into `#nameText` and `#nameKind`; returns its place among names spelled out, -1 when it is broken. */
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
    let place = length;
    if (length > 0) {
      place = Math.imul(place, 31) + (bytes[start] as number);
      place = Math.imul(place, 31) + (bytes[start + (length >> 1)] as number);
      place = Math.imul(place, 31) + (bytes[start + length - 1] as number);
    }
    place = (place ^ (place >> 5)) & (literalPlaceCount - 1);
    const seen = this.#seen.at(namePlaces + place);
    if (!this.#seen.matches(seen, bytes, start, length, isHuffman)) {
      const text = this.#text(start, length, isHuffman);
      if (text === undefined) return -1;
      this.#nameText = text;
      this.#nameKind = nameKindOf(text);
      if (length <= seenNameBytes && this.#seen.keep(seen, bytes, start, length, isHuffman)) {
        seen.text = text;
        seen.kind = this.#nameKind;
      }
    } else {
      this.#nameText = seen.text;
      this.#nameKind = seen.kind;
    }
    return place;
  }

  #value(place: number): string | undefined {
    const prefix = this.#bytes[this.#at] as number;
    const isHuffman = this.#at < this.#end && prefix >= 0x80;
    const length = this.#at < this.#end ? this.#integer(prefix & 0x7f, 0x7f) : -1;
    const start = this.#at;
    if (length < 0 || length > this.#end - start) return this.#fail("broken string");
    this.#at = start + length;
    this.#valueIsValid = true;
    if (length === 0) return "";
    const seen = this.#seen.at(place);
    if (this.#seen.matches(seen, this.#bytes, start, length, isHuffman)) {
      seen.misses = 0;
      this.#valueIsValid = seen.isValid;
      return seen.text;
    }
    const text = this.#text(start, length, isHuffman);
    if (text === undefined) return undefined;
    const isValid = this.#judge(text.length, start, isHuffman);
    this.#valueIsValid = isValid;
    // values that never come twice (ids) are not worth keeping; look again now and then
    seen.misses += 1;
    if (seen.misses > 8 && (seen.misses & 63) !== 0) return text;
    if (this.#seen.keep(seen, this.#bytes, start, length, isHuffman)) {
      seen.text = text;
      seen.isValid = isValid;
    }
    return text;
  }

  /** The text of a string; of Huffman code, its octets stay in the scratch buffer. */
  #text(start: number, length: number, isHuffman: boolean): string | undefined {
    if (!isHuffman)
      return length > 6 ? this.#bytes.toString("latin1", start, start + length) : this.#shortText(start, length);
    if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2);
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
    const bytes = isHuffman ? scratch : this.#bytes;
    const from = isHuffman ? 0 : start;
    let bad = 0;
    for (let i = from; i < from + size; i += 1) bad |= badOctets[bytes[i] as number] as number;
    const first = bytes[from] as number;
    const last = bytes[from + size - 1] as number;
    return size === 0 || (bad === 0 && first !== 0x20 && first !== 0x09 && last !== 0x20 && last !== 0x09);
  }
}

function sameBytes(kept: Uint8Array, bytes: Buffer, start: number, length: number): boolean {
  for (let i = 0; i < length; i += 1) if (kept[i] !== bytes[start + i]) return false;
  return true;
}
