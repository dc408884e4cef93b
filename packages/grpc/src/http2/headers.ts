import { assertName, assertValue } from "./field-rules.ts";

/** Header fields, flat: [name, value, name, value…]; names in lower case, pseudo-header fields first. */
export type HeaderList = readonly string[];

/**
 * A constant run of header fields, such as those that all calls of one method share.
 *
 * Each connection keeps its encoded bytes while its compression table stays as it is, so a template costs one copy a call.
 * Make one per method or status and keep it; a template per call is slower than a plain list. Throws when a field could not be sent.
 */
export class HeaderTemplate {
  readonly headers: HeaderList;
  /** No encoding of it is longer than this. */
  readonly maxEncodedBytes: number;

  constructor(headers: HeaderList) {
    for (let i = 0; i < headers.length; i += 2) {
      assertName(headers[i] as string);
      assertValue(headers[i] as string, headers[i + 1] as string);
    }
    this.headers = Object.freeze([...headers]);
    this.maxEncodedBytes = maxEncodedBytes(headers);
  }
}

/** No HPACK encoding of `headers` of ours is longer than this: text as it is, two lengths and two table size updates. */
export function maxEncodedBytes(headers: HeaderList): number {
  let bytes = 16;
  for (let i = 0; i < headers.length; i += 1) bytes += (headers[i] as string).length + 6;
  return bytes;
}

/** The size of a list as SETTINGS_MAX_HEADER_LIST_SIZE counts it (RFC 9113 §6.5.2). */
export function listBytes(head: HeaderTemplate | undefined, rest: HeaderList): number {
  let bytes = 0;
  for (const list of [head === undefined ? [] : head.headers, rest]) {
    for (let i = 0; i < list.length; i += 1) bytes += (list[i] as string).length;
    bytes += list.length * 16;
  }
  return bytes;
}

/**
 * Judges lists before they are encoded, so that nothing is half sent. Remembers the last list by position: most values of a call
 * (a token, a name) are the very strings of the call before.
 */
export class SendableCheck {
  #names: string[] = [];
  #values: string[] = [];

  /** Throws a TypeError for a field that may not be sent; returns the `maxEncodedBytes` of the list. */
  assertSendable(headers: HeaderList): number {
    let bytes = 16;
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string;
      const value = headers[i + 1] as string;
      bytes += name.length + value.length + 12;
      const position = i >> 1;
      if (this.#names[position] !== name) {
        assertName(name);
        if (position < 32) this.#names[position] = name;
      }
      if (this.#values[position] !== value) {
        assertValue(name, value);
        if (position < 32) this.#values[position] = value;
      }
    }
    return bytes;
  }
}
