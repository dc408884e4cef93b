import { NameKind } from "../field-rules.ts";
import type { HeaderList } from "../headers.ts";

/** Places that a section keeps for its next block. */
const mostKept = 64;

/** Bits of `FieldSection.pseudo`: one a pseudo-header field, by its `NameKind`. */
export const requestPseudo = (1 << NameKind.method) | (1 << NameKind.scheme) | (1 << NameKind.path);
export const responsePseudo = 1 << NameKind.status;

/**
 * One decoded header block: its fields, and what HTTP/2's rules say about them (RFC 9113 §8.2, §8.3).
 *
 * A malformed block or one over the size limit keeps only part of its fields; decoding goes on all the same, because the
 * dynamic table must follow every block.
 */
export class FieldSection {
  /** `1 << NameKind` of each pseudo-header field in it. */
  pseudo = 0;
  contentLength = -1;
  isMalformed = false;
  isOverLimit = false;
  #bytes = 0;
  #sawRegular = false;
  /** Filled anew by each block: growing a list of its own would be a fifth of what a request leaves to the collector. */
  #fields: string[] = [];
  #length = 0;
  #list: HeaderList | undefined;
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The fields; a list of its own, which nobody changes any more. */
  get list(): HeaderList {
    this.#list ??= this.#fields.slice(0, this.#length);
    return this.#list;
  }

  reset(): void {
    this.#forgetFields();
    this.pseudo = 0;
    this.contentLength = -1;
    this.isMalformed = false;
    this.isOverLimit = false;
    this.#bytes = 0;
    this.#sawRegular = false;
  }

  /** Takes over what `other` has. */
  copy(other: FieldSection): void {
    this.#forgetFields();
    const fields = other.#fields;
    const length = other.#length;
    for (let i = 0; i < length; i += 1) this.#fields[i] = fields[i] as string;
    this.#length = length;
    this.pseudo = other.pseudo;
    this.contentLength = other.contentLength;
    this.isMalformed = other.isMalformed;
    this.isOverLimit = other.isOverLimit;
    this.#bytes = other.#bytes;
    this.#sawRegular = other.#sawRegular;
  }

  add(name: string, value: string, kind: number): void {
    this.#bytes += name.length + value.length + 32;
    if (this.#bytes > this.#maxBytes) {
      this.isOverLimit = true;
      return;
    }
    if (kind < NameKind.unknownPseudo) {
      const bit = 1 << kind;
      if (this.#sawRegular || (this.pseudo & bit) !== 0) this.isMalformed = true;
      if (kind === NameKind.path && value.length === 0) this.isMalformed = true;
      this.pseudo |= bit;
    } else {
      this.#sawRegular = true;
      if (kind !== NameKind.regular) this.#judge(value, kind);
    }
    const length = this.#length;
    this.#fields[length] = name;
    this.#fields[length + 1] = value;
    this.#length = length + 2;
  }

  #forgetFields(): void {
    this.#list = undefined;
    this.#length = 0;
    if (this.#fields.length > mostKept) this.#fields = [];
  }

  #judge(value: string, kind: number): void {
    if (kind === NameKind.te) {
      if (value !== "trailers") this.isMalformed = true;
    } else if (kind === NameKind.contentLength) {
      const length = /^\d{1,15}$/.test(value) ? Number(value) : -1;
      if (length < 0 || (this.contentLength >= 0 && this.contentLength !== length)) this.isMalformed = true;
      this.contentLength = length;
    } else {
      this.isMalformed = true;
    }
  }
}
