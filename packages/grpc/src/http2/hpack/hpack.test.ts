import fc from "fast-check";
import { expect, test } from "vitest";
import { type HeaderList, HeaderTemplate, maxEncodedBytes } from "../headers.ts";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";

const hex = (text: string) => Buffer.from(text.replace(/\s/g, ""), "hex");

function decode(decoder: HpackDecoder, bytes: Buffer): readonly string[] {
  const section = decoder.decode(bytes, 0, bytes.length);
  if (section === undefined) throw new Error(decoder.problem);
  return section.list;
}

function encode(encoder: HpackEncoder, rest: HeaderList, head?: HeaderTemplate): Buffer {
  const target = Buffer.alloc((head?.maxEncodedBytes ?? 0) + maxEncodedBytes(rest));
  return target.subarray(0, encoder.encode(head, rest, target, 0));
}

// RFC 7541 appendix C.3 and C.4: requests, plain and Huffman, on one connection each
const requests: readonly string[][] = [
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com"],
  [":method", "GET", ":scheme", "http", ":path", "/", ":authority", "www.example.com", "cache-control", "no-cache"],
  [
    ":method",
    "GET",
    ":scheme",
    "https",
    ":path",
    "/index.html",
    ":authority",
    "www.example.com",
    "custom-key",
    "custom-value",
  ],
];
const plainRequests = [
  "828684410f7777772e6578616d706c652e636f6d",
  "828684be58086e6f2d6361636865",
  "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
];
const huffmanRequests = [
  "828684418cf1e3c2e5f23a6ba0ab90f4ff",
  "828684be5886a8eb10649cbf",
  "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
];
// C.5 and C.6: responses with a table of 256 bytes, so that entries are evicted
const responses: readonly string[][] = [
  [
    ":status",
    "302",
    "cache-control",
    "private",
    "date",
    "Mon, 21 Oct 2013 20:13:21 GMT",
    "location",
    "https://www.example.com",
  ],
  [
    ":status",
    "307",
    "cache-control",
    "private",
    "date",
    "Mon, 21 Oct 2013 20:13:21 GMT",
    "location",
    "https://www.example.com",
  ],
  [
    ":status",
    "200",
    "cache-control",
    "private",
    "date",
    "Mon, 21 Oct 2013 20:13:22 GMT",
    "location",
    "https://www.example.com",
    "content-encoding",
    "gzip",
    "set-cookie",
    "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
  ],
];
const plainResponses = [
  `4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d54
   6e1768747470733a2f2f7777772e6578616d706c652e636f6d`,
  "4803333037c1c0bf",
  `88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970
   7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31`,
];
const huffmanResponses = [
  "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3",
  "4883640effc1c0bf",
  `88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab
   77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007`,
];

test.each([
  ["requests in plain text", requests, plainRequests, 4096],
  ["requests in Huffman code", requests, huffmanRequests, 4096],
  ["responses in plain text with eviction", responses, plainResponses, 256],
  ["responses in Huffman code with eviction", responses, huffmanResponses, 256],
] as const)("decodes the RFC's %s", (_, lists, blocks, tableBytes) => {
  const decoder = new HpackDecoder(65536);
  decoder.allowTableBytes(tableBytes);
  // the appendix assumes the table's size; a block says so first
  const update = tableBytes === 256 ? "3fe101" : "";
  for (const [i, list] of lists.entries()) {
    expect(decode(decoder, hex((i === 0 ? update : "") + blocks[i]))).toEqual(list);
  }
});

test.each([
  ["400a637573746f6d2d6b65790d637573746f6d2d686561646572", ["custom-key", "custom-header"]],
  ["040c2f73616d706c652f70617468", [":path", "/sample/path"]],
  ["100870617373776f726406736563726574", ["password", "secret"]],
  ["82", [":method", "GET"]],
])("decodes the RFC's single field %s", (block, list) => {
  expect(decode(new HpackDecoder(65536), hex(block))).toEqual(list);
});

test("decodes what it encodes, whatever the lists, templates and table sizes", () => {
  const name = fc.constantFrom(
    "a",
    "grpc-timeout",
    "x-request-id",
    "content-type",
    "authorization",
    "user-agent",
    "x-long-name-of-a-header",
  );
  const value = fc.oneof(
    fc.constantFrom("", "1", "application/grpc", "z".repeat(200)),
    fc.string({
      unit: fc
        .integer({ min: 0x21, max: 0xff })
        .filter((c) => c !== 0x7f)
        .map((c) => String.fromCharCode(c)),
      maxLength: 40,
    }),
  );
  const list = fc.array(fc.tuple(name, value), { maxLength: 8 }).map((pairs) => pairs.flat());
  const step = fc.record({
    rest: list,
    template: fc.integer({ min: -1, max: 3 }),
    resize: fc.option(fc.constantFrom(0, 60, 200, 4096)),
  });
  fc.assert(
    fc.property(fc.array(list, { minLength: 4, maxLength: 4 }), fc.array(step, { maxLength: 30 }), (heads, steps) => {
      const templates = heads.map((head) => new HeaderTemplate(head));
      const encoder = new HpackEncoder(4096);
      const decoder = new HpackDecoder(65536);
      for (const { rest, template, resize } of steps) {
        if (resize !== null) encoder.limitTable(resize);
        const head = template < 0 ? undefined : templates[template];
        expect(decode(decoder, encode(encoder, rest, head))).toEqual([...(head?.headers ?? []), ...rest]);
      }
    }),
    { numRuns: 300 },
  );
});

test("Huffman code survives both ways for every octet", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (octets) => {
      const text = Buffer.from(octets).toString("latin1");
      const target = Buffer.alloc(300);
      const end = encodeHuffman(text, target, 0);
      expect(end).toBe(huffmanLength(text));
      const plain = Buffer.alloc(600);
      const size = decodeHuffman(target, 0, end, plain);
      expect(plain.toString("latin1", 0, size)).toBe(text);
    }),
  );
});

test.each([
  ["padding of eight bits", "ff"],
  ["padding that is not ones", "00"],
  ["the end-of-string symbol", "3fffffff"],
])("refuses Huffman code with %s", (_, block) => {
  const bytes = hex(block === "00" ? "1800" : block === "ff" ? "1fff" : "ffffffff");
  expect(decodeHuffman(bytes, 0, bytes.length, Buffer.alloc(64))).toBe(-1);
});

test("a third block of a template is one byte a field, and never the secret", () => {
  const encoder = new HpackEncoder(4096);
  const head = new HeaderTemplate([":method", "POST", "content-type", "application/grpc", "te", "trailers"]);
  encode(encoder, [], head);
  encode(encoder, [], head);
  expect(encode(encoder, [], head)).toHaveLength(3);
  const secret = ["authorization", "Bearer abc"];
  for (let i = 0; i < 3; i += 1) expect(encode(encoder, secret)[0]).toBe(0x1f);
});

test("values that change with every call leave the table alone", () => {
  const encoder = new HpackEncoder(4096);
  const head = new HeaderTemplate([":method", "POST", "content-type", "application/grpc"]);
  for (let i = 0; i < 4; i += 1) encode(encoder, ["x-request-id", `request-${i}`], head);
  const lengths = new Set<number>();
  for (let i = 100; i < 999; i += 1) lengths.add(encode(encoder, ["x-request-id", `request-${i}`], head).length);
  // template: two bytes; name index (two bytes), length, eleven characters
  expect([...lengths]).toEqual([2 + 2 + 1 + 11]);
});

test.each([
  ["an index of zero", "80"],
  ["an index beyond the table", "be"],
  ["a name index beyond the table", "7e0161"],
  ["a string longer than the block", "0085"],
  ["an integer without end", "ffffffffffffffff7f"],
  ["a table size above the allowed one", "3fe21f"],
  ["a table size update after a field", "8220"],
  ["three table size updates", "202020"],
  ["broken Huffman code", "0084ffffffff00"],
  ["a name without value", "000161"],
])("refuses %s", (_, block) => {
  expect(new HpackDecoder(65536).decode(hex(block), 0, hex(block).length)).toBeUndefined();
});

test("an arbitrary block never throws", () => {
  const decoder = new HpackDecoder(4096);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (block) => {
      decoder.decode(Buffer.from(block), 0, block.length);
    }),
    { numRuns: 2000 },
  );
});

test("a block that references one large entry over and over is cut at the list limit", () => {
  const decoder = new HpackDecoder(16384);
  const large = Buffer.concat([hex("4001617fa11e"), Buffer.alloc(4000, 0x62)]);
  decode(decoder, large);
  const bomb = Buffer.alloc(10_000, 0xbe);
  const section = decoder.decode(bomb, 0, bomb.length);
  expect(section?.isOverLimit).toBe(true);
  expect(section?.list.length).toBeLessThan(12);
});

test("a smaller table that the peer didn't confirm is an error", () => {
  const decoder = new HpackDecoder(16384);
  decoder.allowTableBytes(0);
  expect(decoder.decode(hex("82"), 0, 1)).toBeUndefined();
  const confirmed = new HpackDecoder(16384);
  confirmed.allowTableBytes(0);
  expect(decode(confirmed, hex("2082"))).toEqual([":method", "GET"]);
});

test.each([
  ["a capital letter in a name", ["Abc", "1"]],
  ["an empty name", ["", "1"]],
  ["a connection-specific field", ["connection", "close"]],
  ["te other than trailers", ["te", "gzip"]],
  ["a line feed in a value", ["a", "b\nc"]],
  ["a space before a value", ["a", " b"]],
  ["a pseudo-header field that is not defined", [":protocol", "websocket"]],
  ["a pseudo-header field after a regular one", ["a", "b", ":path", "/"]],
  ["a pseudo-header field twice", [":path", "/", ":path", "/"]],
  ["two content lengths that differ", ["content-length", "1", "content-length", "2"]],
  ["a content length that is no number", ["content-length", "1e3"]],
  ["an empty path", [":path", ""]],
])("%s makes the message malformed", (_, list) => {
  const bytes = encode(new HpackEncoder(4096), list);
  expect(new HpackDecoder(65536).decode(bytes, 0, bytes.length)?.isMalformed).toBe(true);
});
