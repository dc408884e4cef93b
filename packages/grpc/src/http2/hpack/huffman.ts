// The static Huffman code of RFC 7541 appendix B. It is canonical: the lengths alone give the codes.
// Decoding walks the code tree four bits at a time through a table; both tables are made on first use.

const lengthRuns =
  "13 23 28x7 24 30 28x2 30 28x8 30 28x9 6 10x2 12 13 6 8 11 10x2 8 11 8 6x3 5x3 6x7 7 8 15 6 12 10 13 6 7x22 8 7 8 13 19 13 14 6 15 " +
  "5 6 5 6 5 6x3 5 7x2 6x3 5 6 7 6 5x2 6 7x5 15 11 14 13 28 20 22 20x2 22x3 23 22 23x5 24 23 24x2 22 23 24 23x4 21 22 23 22 23x2 24 22 " +
  "21 20 22x2 23x2 21 23 22x2 24 21 22 23x2 21x2 22 21 23 22 23x2 20 22x3 23 22x2 23 26x2 20 19 22 23 22 25 26x3 27x2 26 24 25 19 21 26 " +
  "27x2 26 27 24 21x2 26x2 28 27x3 20 24 20 21 22 21x2 23 22x2 25x2 24x2 26 23 26 27 26x2 27x5 28 27x5 26 30";

const endOfString = 256;
// entries of the decoding table: next node, or'ed with what the four bits meant
const emits = 0x1000;
const fails = 0x2000;
const nodeMask = 0x0fff;
// symbol of an emitting entry, above the flags
const symbolShift = 16;

interface Tables {
  readonly lengths: Uint8Array;
  readonly codes: Uint32Array;
  /** 16 entries a node. */
  readonly steps: Uint32Array;
  /** Nodes at which a string may end: fewer than eight bits of padding, all ones. */
  readonly accepting: Uint8Array;
}

let tables: Tables | undefined;

function buildTables(): Tables {
  const lengths = new Uint8Array(endOfString + 1);
  let symbol = 0;
  for (const run of lengthRuns.split(" ")) {
    const [length, count = "1"] = run.split("x");
    lengths.fill(Number(length), symbol, symbol + Number(count));
    symbol += Number(count);
  }
  const codes = new Uint32Array(endOfString + 1);
  let code = 0;
  for (let length = 1; length <= 30; length += 1) {
    code *= 2;
    for (let s = 0; s <= endOfString; s += 1) {
      if (lengths[s] !== length) continue;
      codes[s] = code;
      code += 1;
    }
  }
  return { lengths, codes, ...decodingTables(lengths, codes) };
}

function decodingTables(lengths: Uint8Array, codes: Uint32Array) {
  // a binary tree in an array: two children a node; negative = leaf of symbol −1 − child
  const children: number[] = [0, 0];
  for (let s = 0; s <= endOfString; s += 1) {
    let node = 0;
    for (let bit = (lengths[s] as number) - 1; bit >= 0; bit -= 1) {
      const edge = node * 2 + (((codes[s] as number) >>> bit) & 1);
      if (bit === 0) {
        children[edge] = -1 - s;
      } else {
        if (children[edge] === 0) {
          children[edge] = children.length / 2;
          children.push(0, 0);
        }
        node = children[edge] as number;
      }
    }
  }
  const nodes = children.length / 2;
  const steps = new Uint32Array(nodes * 16);
  for (let start = 0; start < nodes; start += 1) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let node = start;
      let step = 0;
      for (let bit = 3; bit >= 0; bit -= 1) {
        const child = children[node * 2 + ((nibble >> bit) & 1)] as number;
        node = child;
        if (child >= 0) continue;
        const s = -1 - child;
        step = s === endOfString ? fails : emits | (s << symbolShift);
        node = 0;
        if (s === endOfString) break;
      }
      steps[start * 16 + nibble] = step | node;
    }
  }
  const accepting = new Uint8Array(nodes);
  let node = 0;
  for (let padding = 0; padding < 8; padding += 1) {
    accepting[node] = 1;
    node = children[node * 2 + 1] as number;
  }
  return { steps, accepting };
}

/**
 * Decodes `bytes[start, end)` into `target` from 0 on and returns how many bytes it wrote, or -1 when the code is broken
 * (RFC 7541 §5.2). `target` needs room for 8/5 of the input.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, target: Uint8Array): number {
  tables ??= buildTables();
  const { steps, accepting } = tables;
  let node = 0;
  let at = 0;
  for (let i = start; i < end; i += 1) {
    const byte = bytes[i] as number;
    let step = steps[node * 16 + (byte >> 4)] as number;
    if ((step & emits) !== 0) {
      target[at] = step >>> symbolShift;
      at += 1;
    }
    if ((step & fails) !== 0) return -1;
    step = steps[(step & nodeMask) * 16 + (byte & 15)] as number;
    if ((step & emits) !== 0) {
      target[at] = step >>> symbolShift;
      at += 1;
    }
    if ((step & fails) !== 0) return -1;
    node = step & nodeMask;
  }
  return accepting[node] === 1 ? at : -1;
}

/** Bytes that `text` (characters up to U+00FF) takes in Huffman code. */
export function huffmanLength(text: string): number {
  tables ??= buildTables();
  const { lengths } = tables;
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) bits += lengths[text.charCodeAt(i)] as number;
  return (bits + 7) >> 3;
}

/** Writes `text` in Huffman code at `at` and returns the position after it. */
export function encodeHuffman(text: string, target: Uint8Array, at: number): number {
  tables ??= buildTables();
  const { lengths, codes } = tables;
  let position = at;
  // at most 7 bits wait here, so that 30 more still fit in 53 bits of a double
  let waiting = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i += 1) {
    const symbol = text.charCodeAt(i);
    const length = lengths[symbol] as number;
    waiting = waiting * 2 ** length + (codes[symbol] as number);
    bits += length;
    while (bits >= 8) {
      bits -= 8;
      const byte = Math.floor(waiting / 2 ** bits);
      target[position] = byte;
      position += 1;
      waiting -= byte * 2 ** bits;
    }
  }
  if (bits > 0) {
    target[position] = (waiting << (8 - bits)) | (0xff >> bits);
    position += 1;
  }
  return position;
}
