import type { HeaderList } from "../http2/headers.ts";
import { decodeBinaryValue, encodeBinaryValue } from "./binary-value.ts";

/** What is kept under `Name`: bytes for names that end in `-bin`, text for others. */
export type MetadataValue<Name extends string> = string extends Name
  ? string | Uint8Array
  : Lowercase<Name> extends `${string}-bin`
    ? Uint8Array
    : string;

/** What a Metadata is made from. */
export type MetadataInit =
  | Readonly<Record<string, string | Uint8Array>>
  | Iterable<readonly [string, string | Uint8Array]>;

const namePattern = /^[0-9a-z_.-]+$/;
const none: string[] = [];

/** A name that may be used, as the wire has it. */
interface ValidName {
  readonly key: string;
  readonly isBinary: boolean;
}

/** The names that were used before: an application has few, and uses them for every call. */
const validNames = new Map<string, ValidName>();
/** A caller that makes up names must not fill the memory. */
const mostNames = 1000;

/** The last long text that was found to be text: mostly a token, the same string for every call. */
let lastLongText = "";
const longText = 32;

/**
 * Headers or trailers of a call, as an ordered multimap.
 *
 * Names are case-insensitive. Kept as the wire has them (`-bin` values in base64), so that passing metadata on and
 * reading one of many cost nothing; what was received is looked at only when asked for.
 */
export class Metadata {
  /** name, value, name, value… as on the wire. */
  #list: HeaderList;
  /** Whether `#list` is ours to change; otherwise it belongs to the transport and holds its headers too. */
  #owned: boolean;
  #wasReceived = false;

  constructor(init?: MetadataInit) {
    this.#list = none;
    this.#owned = false;
    if (init === undefined) return;
    const entries = Symbol.iterator in init ? init : Object.entries(init);
    for (const [name, value] of entries as Iterable<readonly [string, string | Uint8Array]>) this.append(name, value);
  }

  /** What a peer sent; `headers` must not change any more. The protocol's own headers are hidden. */
  static received(headers: HeaderList): Metadata {
    const metadata = new Metadata();
    metadata.#list = headers;
    metadata.#wasReceived = true;
    return metadata;
  }

  /** Whether all of it was judged here when it was added, so that HTTP/2 carries it: nothing of it came from a peer. */
  get isSendable(): boolean {
    return !this.#wasReceived;
  }

  /** The first value of `name`. A `-bin` value that isn't base64 counts as absent. */
  get<Name extends string>(name: Name): MetadataValue<Name> | undefined {
    const known = validNames.get(name);
    const key = known === undefined ? name.toLowerCase() : known.key;
    const list = this.#list;
    for (let index = 0; index < list.length; index += 2) {
      if (list[index] !== key) continue;
      if (known === undefined && !this.#owned && isTransportHeader(key)) return undefined;
      const value = list[index + 1]!;
      if (!key.endsWith("-bin")) return value as MetadataValue<Name>;
      const [first] = binaryValues(value);
      if (first !== undefined) return first as MetadataValue<Name>;
    }
    return undefined;
  }

  /** Every value of `name`, in the order they were added. */
  getAll<Name extends string>(name: Name): MetadataValue<Name>[] {
    const key = name.toLowerCase();
    const values: (string | Uint8Array)[] = [];
    for (const [other, value] of this.entries()) if (other === key) values.push(value);
    return values as MetadataValue<Name>[];
  }

  /** Whether there is a value of `name`. */
  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Replaces every value of `name` by `value`. Throws a TypeError on what can't be sent. */
  set(name: string, value: string | Uint8Array): void {
    const valid = validName(name);
    const text = wireValue(valid, value);
    this.#remove(valid.key);
    this.#add(valid.key, text);
  }

  /** Adds `value` to those of `name`. Throws a TypeError on what can't be sent. */
  append(name: string, value: string | Uint8Array): void {
    const valid = validName(name);
    this.#add(valid.key, wireValue(valid, value));
  }

  /** Removes every value of `name`; false when there was none. */
  delete(name: string): boolean {
    return this.#remove(name.toLowerCase());
  }

  #remove(key: string): boolean {
    if (!this.#list.includes(key)) return false;
    const list = this.#own();
    let kept = 0;
    for (let index = 0; index < list.length; index += 2) {
      if (list[index] === key) continue;
      list[kept++] = list[index]!;
      list[kept++] = list[index + 1]!;
    }
    const removed = kept < list.length;
    list.length = kept;
    return removed;
  }

  /** Every name (lower case) and value, in order; a name with several values comes several times. */
  *entries(): Generator<[string, string | Uint8Array]> {
    const list = this.#list;
    for (let index = 0; index < list.length; index += 2) {
      const key = list[index]!;
      if (!this.#owned && isTransportHeader(key)) continue;
      if (!key.endsWith("-bin")) yield [key, list[index + 1]!];
      else for (const value of binaryValues(list[index + 1]!)) yield [key, value];
    }
  }

  [Symbol.iterator](): Generator<[string, string | Uint8Array]> {
    return this.entries();
  }

  /** A copy that changes on its own. */
  clone(): Metadata {
    const copy = new Metadata();
    copy.#list = this.#owned ? [...this.#list] : this.#list;
    copy.#owned = this.#owned;
    copy.#wasReceived = this.#wasReceived;
    return copy;
  }

  /** Adds everything of `other`. */
  merge(other: Metadata): void {
    this.#own();
    this.#addAll(other.#list, !other.#owned);
    if (other.#wasReceived) this.#wasReceived = true;
  }

  /** Adds the wire form, `name, value, …`, to `headers`. A received `user-agent` stays behind: each hop sends its own. */
  appendTo(headers: string[]): void {
    const list = this.#list;
    for (let index = 0; index < list.length; index += 2) {
      const key = list[index]!;
      if (key === "user-agent" || (!this.#owned && isTransportHeader(key))) continue;
      headers.push(key, list[index + 1]!);
    }
  }

  /** What `appendTo` would add, not to be changed; undefined where that leaves out what came from a peer. */
  get wholeList(): HeaderList | undefined {
    return this.#wasReceived ? undefined : this.#list;
  }

  /** Most metadata has few entries: lists of exactly their size leave less to the collector than one that may grow. */
  #add(key: string, text: string): void {
    const list = this.#own();
    switch (list.length) {
      case 0:
        this.#list = [key, text];
        break;
      case 2:
        this.#list = [list[0]!, list[1]!, key, text];
        break;
      case 4:
        this.#list = [list[0]!, list[1]!, list[2]!, list[3]!, key, text];
        break;
      default:
        list.push(key, text);
    }
  }

  #addAll(list: HeaderList, holdsTransportHeaders: boolean): void {
    const { length } = list; // it may be this one's own
    for (let index = 0; index < length; index += 2) {
      if (!holdsTransportHeaders || !isTransportHeader(list[index]!)) this.#add(list[index]!, list[index + 1]!);
    }
  }

  /** The list as ours to change, without the transport's headers. */
  #own(): string[] {
    if (!this.#owned) {
      const received = this.#list;
      this.#list = none;
      this.#owned = true;
      this.#addAll(received, true);
    }
    return this.#list as string[];
  }
}

/**
 * Whether `name` belongs to HTTP/2 or to gRPC's own framing: hidden from those who read metadata and refused from those
 * who write it. `user-agent` is the one that may be read (see `validName`).
 */
export function isTransportHeader(name: string): boolean {
  switch (name) {
    case "content-type":
    case "te":
    case "grpc-timeout":
    case "grpc-encoding":
    case "grpc-accept-encoding":
    case "grpc-message-type":
    case "grpc-status":
    case "grpc-message":
    // Hop by hop: they make an HTTP/2 message malformed (RFC 9113 §8.2.2).
    case "connection":
    case "keep-alive":
    case "proxy-connection":
    case "transfer-encoding":
    case "upgrade":
      return true;
    default:
      return name.charCodeAt(0) === 0x3a; // a pseudo-header
  }
}

function validName(name: string): ValidName {
  return validNames.get(name) ?? judgeName(name);
}

function judgeName(name: string): ValidName {
  const key = name.toLowerCase();
  if (!namePattern.test(key))
    throw new TypeError(`metadata name ${JSON.stringify(name)} has characters beyond 0-9 a-z _ - .`);
  if (isTransportHeader(key)) throw new TypeError(`metadata name "${key}" is the protocol's own`);
  if (key === "user-agent")
    throw new TypeError('metadata name "user-agent" is the transport\'s: set the option "userAgent"');
  if (key === "host") throw new TypeError('metadata name "host" is the protocol\'s own: set the option "authority"');
  const valid = { key, isBinary: key.endsWith("-bin") };
  if (validNames.size < mostNames) validNames.set(name, valid);
  return valid;
}

function wireValue({ key, isBinary }: ValidName, value: string | Uint8Array): string {
  if (isBinary) {
    if (typeof value === "string") throw new TypeError(`metadata "${key}" takes bytes, not text`);
    return encodeBinaryValue(value);
  }
  if (typeof value !== "string")
    throw new TypeError(`metadata "${key}" takes text; bytes need a name that ends in -bin`);
  if (!isText(value)) throw new TypeError(`metadata "${key}" has characters beyond printable ASCII`);
  // Receivers strip it (PROTOCOL-HTTP2, "Custom-Metadata"): strip here too, so that both see the same value.
  return isSpace(value, 0) || isSpace(value, value.length - 1) ? value.trim() : value;
}

/** Whether `value` is printable ASCII. By hand: an exec of a pattern costs more than the loop. */
function isText(value: string): boolean {
  const { length } = value;
  if (length >= longText) {
    if (value === lastLongText) return true;
    lastLongText = "";
  }
  for (let index = 0; index < length; index++) {
    const code = value.charCodeAt(index);
    if (code < 0x20 || code > 0x7e) return false;
  }
  if (length >= longText) lastLongText = value;
  return true;
}

function isSpace(value: string, index: number): boolean {
  return value.charCodeAt(index) === 0x20;
}

/** One header may carry several binary values, joined by commas (PROTOCOL-HTTP2). */
function binaryValues(text: string): Uint8Array[] {
  const values: Uint8Array[] = [];
  for (const part of text.split(",")) {
    const value = decodeBinaryValue(part);
    if (value !== undefined) values.push(value);
  }
  return values;
}
