// HPACK encoding (RFC 7541).
//
// What goes into the dynamic table is decided on second sight: a field seen twice is worth its place, an id is not. Names whose
// values keep changing lose the right to insert, so that the table, and the templates encoded against it, come to rest.
import type { HeaderList, HeaderTemplate } from "../headers.ts";
import { encodeHuffman, huffmanLength } from "./huffman.ts";
import { staticLength, staticTable } from "./static-table.ts";

const maxNames = 512;
const maxTemplates = 1024;
const valuesPerName = 8;

/** Fields that a compressing intermediary must not index either: secrets could be guessed by size (RFC 7541 §7.1.3). */
const sensitiveNames = new Set(["authorization", "proxy-authorization", "cookie", "set-cookie"]);

const staticNames = new Map<string, number>();
const staticFields = new Map<string, number>();
for (let i = staticLength; i >= 1; i -= 1) {
  const name = staticTable[i * 2 - 2] as string;
  const value = staticTable[i * 2 - 1] as string;
  staticNames.set(name, i);
  if (value !== "") staticFields.set(`${name}\n${value}`, i);
}

/** What this connection knows of one name. Entries of the dynamic table are named by their order of insertion. */
class NameEntry {
  readonly staticIndex: number;
  readonly isSensitive: boolean;
  /** Newest entry with this name, -1 when there never was one. */
  newest = -1;
  /** Last values that were inserted, and where. */
  readonly values: string[] = [];
  readonly places: number[] = [];
  nextPlace = 0;
  lastValue: string | undefined;
  insertions = 0;
  hits = 0;

  constructor(name: string) {
    this.staticIndex = staticNames.get(name) ?? 0;
    this.isSensitive = sensitiveNames.has(name);
  }
}

class EncodedTemplate {
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  generation = -1;
}

/** One connection's encoder and its dynamic table. Fields must have been judged sendable (`assertSendable`). */
export class HpackEncoder {
  #names = new Map<string, NameEntry>();
  #templates = new Map<HeaderTemplate, EncodedTemplate>();
  #sizes: number[] = [];
  /** Entries inserted ever; the oldest that is left. */
  #inserted = 0;
  #oldest = 0;
  /** Grows with every change of the table: what was encoded under another one is stale. */
  #generation = 0;
  #tableBytes = 0;
  #maxTableBytes: number;
  readonly #ownMaxTableBytes: number;
  /** Smallest size since the last block, to be announced by the next; -1 when nothing changed. */
  #announceLow = -1;
  /** Something in this block was left out of the table that may go in next time. */
  #isUnsettled = false;

  /** Starts with the protocol's 4,096 bytes, or `maxTableBytes` if that is less. */
  constructor(maxTableBytes: number) {
    this.#ownMaxTableBytes = maxTableBytes;
    this.#maxTableBytes = 4096;
    this.limitTable(4096);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(peerMaxBytes: number): void {
    const size = Math.min(peerMaxBytes, this.#ownMaxTableBytes);
    if (size === this.#maxTableBytes) return;
    this.#announceLow = this.#announceLow < 0 ? size : Math.min(this.#announceLow, size);
    this.#maxTableBytes = size;
    this.#generation += 1;
    this.#evict(0);
  }

  /**
   * Encodes `head` and `rest` as one block at `at` and returns the position after it. `target` needs room for the
   * `maxEncodedBytes` of both.
   */
  encode(head: HeaderTemplate | undefined, rest: HeaderList, target: Buffer, at: number): number {
    let position = this.#announceLow < 0 ? at : this.#announceSize(target, at);
    if (head !== undefined) position = this.#encodeTemplate(head, target, position);
    for (let i = 0; i < rest.length; i += 2) {
      position = this.#encodeField(rest[i] as string, rest[i + 1] as string, target, position);
    }
    return position;
  }

  #announceSize(target: Buffer, at: number): number {
    let position = at;
    if (this.#announceLow < this.#maxTableBytes)
      position = writeInteger(target, position, 0x20, 0x1f, this.#announceLow);
    this.#announceLow = -1;
    return writeInteger(target, position, 0x20, 0x1f, this.#maxTableBytes);
  }

  #encodeTemplate(head: HeaderTemplate, target: Buffer, at: number): number {
    let encoded = this.#templates.get(head);
    if (encoded !== undefined && encoded.generation === this.#generation) {
      const { bytes, length } = encoded;
      for (let i = 0; i < length; i += 1) target[at + i] = bytes[i] as number;
      return at + length;
    }
    if (encoded === undefined) {
      if (this.#templates.size >= maxTemplates) this.#templates.clear();
      encoded = new EncodedTemplate();
      this.#templates.set(head, encoded);
    }
    const before = this.#generation;
    this.#isUnsettled = false;
    let position = at;
    const { headers } = head;
    for (let i = 0; i < headers.length; i += 2) {
      position = this.#encodeField(headers[i] as string, headers[i + 1] as string, target, position);
    }
    if (this.#generation === before && !this.#isUnsettled) {
      const length = position - at;
      if (encoded.bytes.length < length) encoded.bytes = new Uint8Array(length);
      encoded.bytes.set(target.subarray(at, position));
      encoded.length = length;
      encoded.generation = before;
    }
    return position;
  }

  #encodeField(name: string, value: string, target: Buffer, at: number): number {
    let entry = this.#names.get(name);
    if (entry === undefined) {
      // forgetting what names were seen loses compression, never correctness
      if (this.#names.size >= maxNames) this.#names.clear();
      entry = new NameEntry(name);
      this.#names.set(name, entry);
    }
    if (entry.isSensitive) return this.#writeLiteral(entry, 0x10, 0x0f, name, value, target, at);
    const index = this.#find(entry, name, value);
    if (index > 0) return writeInteger(target, at, 0x80, 0x7f, index);
    if (this.#isWorthIndexing(entry, name, value)) {
      const position = this.#writeIndexed(entry, name, value, target, at);
      this.#insert(entry, name, value);
      return position;
    }
    return this.#writeLiteral(entry, 0x00, 0x0f, name, value, target, at);
  }

  #find(entry: NameEntry, name: string, value: string): number {
    const { values, places } = entry;
    for (let i = 0; i < values.length; i += 1) {
      if (values[i] !== value) continue;
      const place = places[i] as number;
      if (place < this.#oldest) break;
      entry.hits += 1;
      return staticLength + this.#inserted - place;
    }
    // only few names have values in the static table; the others skip building the key
    if (entry.staticIndex > 0 && entry.staticIndex <= 16) return staticFields.get(`${name}\n${value}`) ?? 0;
    return 0;
  }

  #isWorthIndexing(entry: NameEntry, name: string, value: string): boolean {
    const bytes = name.length + value.length + 32;
    if (bytes * 4 > this.#maxTableBytes) return false;
    if (entry.insertions >= 4 && entry.hits < entry.insertions * 4) return false;
    const { lastValue } = entry;
    entry.lastValue = value;
    if (lastValue === undefined) {
      this.#isUnsettled = true;
      return false;
    }
    // seen twice; or a name that has no index yet and would be spelled out every time
    if (lastValue === value || (entry.staticIndex === 0 && entry.newest < this.#oldest)) return true;
    this.#isUnsettled = true;
    return false;
  }

  #nameIndex(entry: NameEntry): number {
    if (entry.staticIndex > 0) return entry.staticIndex;
    return entry.newest >= this.#oldest ? staticLength + this.#inserted - entry.newest : 0;
  }

  #writeLiteral(
    e: NameEntry,
    bits: number,
    mask: number,
    name: string,
    value: string,
    target: Buffer,
    at: number,
  ): number {
    const index = this.#nameIndex(e);
    let position = writeInteger(target, at, bits, mask, index);
    if (index === 0) position = writeText(target, position, name);
    return writeText(target, position, value);
  }

  /** A field for the table: sent once, so its strings are worth Huffman code where that is shorter. */
  #writeIndexed(entry: NameEntry, name: string, value: string, target: Buffer, at: number): number {
    const index = this.#nameIndex(entry);
    let position = writeInteger(target, at, 0x40, 0x3f, index);
    if (index === 0) position = writeShortest(target, position, name);
    position = writeShortest(target, position, value);
    return position;
  }

  #insert(entry: NameEntry, name: string, value: string): void {
    const bytes = name.length + value.length + 32;
    this.#evict(bytes);
    const place = this.#inserted;
    this.#sizes.push(bytes);
    this.#inserted += 1;
    this.#generation += 1;
    this.#tableBytes += bytes;
    entry.newest = place;
    entry.insertions += 1;
    entry.values[entry.nextPlace] = value;
    entry.places[entry.nextPlace] = place;
    entry.nextPlace = (entry.nextPlace + 1) % valuesPerName;
  }

  #evict(bytes: number): void {
    while (this.#sizes.length > 0 && this.#tableBytes + bytes > this.#maxTableBytes) {
      this.#tableBytes -= this.#sizes.shift() as number;
      this.#oldest += 1;
    }
  }
}

/** Writes an integer whose first byte starts with `bits` (RFC 7541 §5.1). */
function writeInteger(target: Buffer, at: number, bits: number, mask: number, value: number): number {
  if (value < mask) {
    target[at] = bits | value;
    return at + 1;
  }
  target[at] = bits | mask;
  let position = at + 1;
  let left = value - mask;
  while (left >= 0x80) {
    target[position] = (left & 0x7f) | 0x80;
    position += 1;
    left >>>= 7;
  }
  target[position] = left;
  return position + 1;
}

function writeText(target: Buffer, at: number, text: string): number {
  const { length } = text;
  const position = writeInteger(target, at, 0, 0x7f, length);
  // a call into the runtime costs more than a short loop
  if (length > 24) target.write(text, position, "latin1");
  else for (let i = 0; i < length; i += 1) target[position + i] = text.charCodeAt(i);
  return position + length;
}

function writeShortest(target: Buffer, at: number, text: string): number {
  const length = huffmanLength(text);
  if (length >= text.length) return writeText(target, at, text);
  return encodeHuffman(text, target, writeInteger(target, at, 0x80, 0x7f, length));
}
