// The cases of the standard list about compression. What the client asserts stands here; what must be seen on the wire is
// `wireOf`, checked by a tap between client and server.
import assert from "node:assert/strict";
import { assertZeros, type Case, finish, unary } from "./cases.ts";
import type { InteropClient } from "./exchange.ts";
import { flag, inputRequest, largeRequest, largeResponseBytes, outputRequest } from "./messages.ts";
import type { TappedCall } from "./wire-tap.ts";

const invalidArgument = 3;

/** A server that can see whether a request is compressed, and was told to expect it, refuses one that isn't. */
async function probeUnary(client: InteropClient): Promise<void> {
  const call = client.start("unaryCall");
  call.send(largeRequest({ expectCompressed: flag(true) }));
  call.halfClose();
  assert.equal((await call.outcome).code, invalidArgument);
}

async function probeStreaming(client: InteropClient): Promise<void> {
  const call = client.start("streamingInputCall");
  call.send(inputRequest(27_182, true));
  call.halfClose();
  assert.equal((await call.outcome).code, invalidArgument);
}

async function compressedUnary(client: InteropClient): Promise<void> {
  for (const compress of [true, false]) {
    const { response } = await unary(client, largeRequest({ expectCompressed: flag(compress) }), { compress });
    assertZeros(response.payload?.body, largeResponseBytes);
  }
}

async function compressedStreaming(client: InteropClient): Promise<void> {
  const call = client.start("streamingInputCall", { compress: true });
  call.send(inputRequest(27_182, true));
  call.send(inputRequest(45_904, false), false);
  call.halfClose();
  assert.equal((await call.receive())?.aggregatedPayloadSize, 73_086);
  await finish(call);
}

/** The four, and the two about requests without the probe: for servers whose API doesn't say what was compressed. */
export const compressedCases = {
  async client_compressed_unary(client) {
    await probeUnary(client);
    await compressedUnary(client);
  },
  async client_compressed_streaming(client) {
    await probeStreaming(client);
    await compressedStreaming(client);
  },
  client_compressed_unary_unprobed: compressedUnary,
  client_compressed_streaming_unprobed: compressedStreaming,
  async server_compressed_unary(client) {
    for (const compressed of [true, false]) {
      const { response } = await unary(client, largeRequest({ responseCompressed: flag(compressed) }));
      assertZeros(response.payload?.body, largeResponseBytes);
    }
  },
  async server_compressed_streaming(client) {
    const wishes = [
      { size: 31_415, compressed: true },
      { size: 92_653, compressed: false },
    ];
    const call = client.start("streamingOutputCall");
    call.send(outputRequest(wishes));
    call.halfClose();
    for (const { size } of wishes) assertZeros((await call.receive())?.payload?.body, size);
    await finish(call);
  },
} as const satisfies Readonly<Record<string, Case>>;

export type CompressedCase = keyof typeof compressedCases;

const clientUnary = [{ requests: [true] }, { requests: [false] }];
const clientStreaming = [{ requests: [true, false] }];
const probe = { requests: [false] };

/** Which messages must have been compressed, call by call; a direction that isn't named is free. */
export const wireOf: Readonly<Record<CompressedCase, readonly Partial<TappedCall>[]>> = {
  client_compressed_unary: [probe, ...clientUnary],
  client_compressed_streaming: [probe, ...clientStreaming],
  client_compressed_unary_unprobed: clientUnary,
  client_compressed_streaming_unprobed: clientStreaming,
  server_compressed_unary: [{ responses: [true] }, { responses: [false] }],
  server_compressed_streaming: [{ responses: [true, false] }],
};

/** What was wrong on the wire; undefined when it was as `wireOf` says. */
export function wireComplaint(name: CompressedCase, calls: readonly TappedCall[]): string | undefined {
  const wanted = wireOf[name];
  const seen = calls.map((call, index) => {
    const { requests, responses } = wanted[index] ?? {};
    return { ...(requests && { requests: call.requests }), ...(responses && { responses: call.responses }) };
  });
  const [want, saw] = [JSON.stringify(wanted), JSON.stringify(seen)];
  return want === saw ? undefined : `compressed on the wire: ${saw}, not ${want}`;
}
