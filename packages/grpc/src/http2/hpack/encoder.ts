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
// a call into the runtime costs more than a short loop
const shortText = 24;

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

/** An entry of the dynamic table. Entries are named by their order of insertion. */
class TableEntry {
  readonly value: string;
  readonly place: number;
  readonly bytes: number;
  /** The next one that was inserted. */
  newer: TableEntry | undefined;
  /** The one before it with the same name. */
  sameName: TableEntry | undefined;

  constructor(value: string, place: number, bytes: number, sameName: TableEntry | undefined) {
    this.value = value;
    this.place = place;
    this.bytes = bytes;
    this.sameName = sameName;
  }
}

/** What this connection knows of one name. */
class KnownName {
  readonly staticIndex: number;
  readonly isSensitive: boolean;
  /** Of a secret that came again: its encoding, and the value that it is of. */
  literal: Uint8Array | undefined;
  literalOf: string | undefined;
  /** The newest entry with this name; it may have left the table. */
  newest: TableEntry | undefined;
  lastValue: string | undefined;
  insertions = 0;
  hits = 0;

  constructor(name: string) {
    this.staticIndex = staticNames.get(name) ?? 0;
    this.isSensitive = sensitiveNames.has(name);
  }
}

const noBytes = new Uint8Array(0);

class EncodedTemplate {
  bytes = noBytes;
  length = 0;
  generation = -1;
}

/** One connection's encoder and its dynamic table. Fields must have been judged sendable (`assertSendable`). */
export class HpackEncoder {
  readonly #names = new Map<string, KnownName>();
  readonly #templates = new Map<HeaderTemplate, EncodedTemplate>();
  #oldest: TableEntry | undefined;
  #newest: TableEntry | undefined;
  /** Entries inserted ever, and gone ever. */
  #inserted = 0;
  #evicted = 0;
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
    let known = this.#names.get(name);
    if (known === undefined) {
      // forgetting what names were seen loses compression, never correctness
      if (this.#names.size >= maxNames) this.#names.clear();
      known = new KnownName(name);
      this.#names.set(name, known);
    }
    if (known.isSensitive) return this.#writeSecret(known, name, value, target, at);
    const index = this.#find(known, name, value);
    if (index > 0) return writeInteger(target, at, 0x80, 0x7f, index);
    if (this.#isWorthIndexing(known, name, value)) {
      const position = this.#writeIndexed(known, name, value, target, at);
      this.#insert(known, name, value);
      return position;
    }
    const position = this.#writeName(known, 0x00, name, target, at);
    return writeText(target, position, value);
  }

  #isInTable(entry: TableEntry | undefined): entry is TableEntry {
    return entry !== undefined && entry.place >= this.#evicted;
  }

  #find(known: KnownName, name: string, value: string): number {
    let entry = known.newest;
    for (let i = 0; i < valuesPerName && this.#isInTable(entry); i += 1) {
      if (entry.value === value) {
        known.hits += 1;
        return staticLength + this.#inserted - entry.place;
      }
      entry = entry.sameName;
    }
    // only few names have values in the static table; the others skip building the key
    if (known.staticIndex > 0 && known.staticIndex <= 16) return staticFields.get(`${name}\n${value}`) ?? 0;
    return 0;
  }

  #isWorthIndexing(known: KnownName, name: string, value: string): boolean {
    const bytes = name.length + value.length + 32;
    if (bytes * 4 > this.#maxTableBytes) return false;
    if (known.insertions >= 4 && known.hits < known.insertions * 4) return false;
    const { lastValue } = known;
    known.lastValue = value;
    if (lastValue === undefined) {
      this.#isUnsettled = true;
      return false;
    }
    // seen twice; or a name that has no index yet and would be spelled out every time
    if (lastValue === value || (known.staticIndex === 0 && !this.#isInTable(known.newest))) return true;
    this.#isUnsettled = true;
    return false;
  }

  /** Writes the start of a literal that isn't indexed: its name, by index where it has one. */
  #writeName(known: KnownName, bits: number, name: string, target: Buffer, at: number): number {
    let index = known.staticIndex;
    if (index === 0 && this.#isInTable(known.newest)) index = staticLength + this.#inserted - known.newest.place;
    const position = writeInteger(target, at, bits, 0x0f, index);
    return index === 0 ? writeText(target, position, name) : position;
  }

  /** A token is mostly the one of the call before, and long: copied, not written anew. */
  #writeSecret(known: KnownName, name: string, value: string, target: Buffer, at: number): number {
    const position = this.#writeName(known, 0x10, name, target, at);
    if (known.literalOf === value) {
      known.literal ??= encodedText(value);
      target.set(known.literal, position);
      return position + known.literal.length;
    }
    known.literal = undefined;
    known.literalOf = value.length > shortText && value.length <= 4096 ? value : undefined;
    return writeText(target, position, value);
  }

  /** A field for the table: sent once, so its strings are worth Huffman code where that is shorter. */
  #writeIndexed(known: KnownName, name: string, value: string, target: Buffer, at: number): number {
    let index = known.staticIndex;
    if (index === 0 && this.#isInTable(known.newest)) index = staticLength + this.#inserted - known.newest.place;
    const position = writeInteger(target, at, 0x40, 0x3f, index);
    return writeShortest(target, index === 0 ? writeShortest(target, position, name) : position, value);
  }

  #insert(known: KnownName, name: string, value: string): void {
    const bytes = name.length + value.length + 32;
    this.#evict(bytes);
    const sameName = this.#isInTable(known.newest) ? known.newest : undefined;
    const entry = new TableEntry(value, this.#inserted, bytes, sameName);
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.#inserted += 1;
    this.#generation += 1;
    this.#tableBytes += bytes;
    known.newest = entry;
    known.insertions += 1;
  }

  #evict(bytes: number): void {
    while (this.#oldest !== undefined && this.#tableBytes + bytes > this.#maxTableBytes) {
      const gone: TableEntry = this.#oldest;
      this.#tableBytes -= gone.bytes;
      this.#evicted += 1;
      this.#oldest = gone.newer;
      // what may still point to it must not keep others alive
      gone.newer = undefined;
      gone.sameName = undefined;
      if (this.#oldest === undefined) this.#newest = undefined;
    }
  }
}

/** A string as it stands in a literal. */
function encodedText(text: string): Uint8Array {
  const bytes = Buffer.allocUnsafeSlow(text.length + 6);
  return bytes.subarray(0, writeText(bytes, 0, text));
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
  if (length > shortText) target.write(text, position, "latin1");
  else for (let i = 0; i < length; i += 1) target[position + i] = text.charCodeAt(i);
  return position + length;
}

function writeShortest(target: Buffer, at: number, text: string): number {
  const length = huffmanLength(text);
  if (length >= text.length) return writeText(target, at, text);
  return encodeHuffman(text, target, writeInteger(target, at, 0x80, 0x7f, length));
}
