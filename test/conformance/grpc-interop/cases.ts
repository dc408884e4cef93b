// The standard cases (grpc/grpc, doc/interop-test-descriptions.md), each a conversation with any client and server.
import assert from "node:assert/strict";
import type { CallSettings, Connect, InteropClient, MethodName, Outcome } from "./exchange.ts";
import type { SimpleRequest, SimpleResponse } from "./gen/grpc/testing/messages.ts";
import {
  inputRequest,
  largeRequest,
  largeResponseBytes,
  outputRequest,
  payload,
  requestSizes,
  responseSizes,
  simpleRequest,
} from "./messages.ts";

/** A case: throws where what it asserts isn't so. `client` is a fresh one, `connect` makes more of its kind. */
export type Case = (client: InteropClient, connect: Connect) => Promise<void>;

const code = { ok: 0, cancelled: 1, unknown: 2, deadlineExceeded: 4, unimplemented: 12 } as const;
const initialKey = "x-grpc-test-echo-initial";
const initialValue = "test_initial_metadata_value";
const trailingKey = "x-grpc-test-echo-trailing-bin";
const trailingValue = Uint8Array.of(0xab, 0xab, 0xab);
const echoedMetadata = { [initialKey]: initialValue, [trailingKey]: trailingValue };
const soakIterations = 40;
const parallelCalls = 100;

/** A unary call that must succeed; its response. */
export async function unary(
  client: InteropClient,
  request: SimpleRequest,
  settings: CallSettings = {},
): Promise<{ readonly response: SimpleResponse; readonly outcome: Outcome }> {
  const call = client.start("unaryCall", settings);
  call.send(request);
  call.halfClose();
  const response = await call.receive();
  const outcome = await call.outcome;
  assert.equal(outcome.code, code.ok, outcome.details);
  assert.ok(response !== undefined, "there is no response");
  return { response, outcome };
}

/** large_unary's call and what it asserts. */
export async function largeUnary(client: InteropClient, settings: CallSettings = {}): Promise<Outcome> {
  const { response, outcome } = await unary(client, largeRequest(), settings);
  assertZeros(response.payload?.body, largeResponseBytes);
  return outcome;
}

/** Asserts that `body` is `bytes` zeros. */
export function assertZeros(body: Uint8Array | undefined, bytes: number): void {
  assert.equal(body?.length, bytes);
  assert.ok(
    body.every((byte) => byte === 0),
    "the payload isn't zeros",
  );
}

/** Ends a call that must succeed and have no further response. */
export async function finish(call: { receive(): Promise<unknown>; readonly outcome: Promise<Outcome> }) {
  assert.equal(await call.receive(), undefined, "there is a response too many");
  const outcome = await call.outcome;
  assert.equal(outcome.code, code.ok, outcome.details);
  return outcome;
}

async function callUnimplemented(client: InteropClient, name: MethodName & `un${string}`): Promise<void> {
  const call = client.start(name, {});
  call.send({} as never);
  call.halfClose();
  assert.equal((await call.outcome).code, code.unimplemented);
}

function assertEchoed({ headers, trailers }: Outcome): void {
  assert.equal(headers.get(initialKey), initialValue);
  const trailing = trailers.get(trailingKey);
  assert.ok(trailing instanceof Uint8Array, `no ${trailingKey} in the trailers`);
  assert.deepEqual([...trailing], [...trailingValue]);
}

async function soak(iterate: () => Promise<InteropClient>): Promise<void> {
  for (let iteration = 0; iteration < soakIterations; iteration++) {
    const startedAt = performance.now();
    await largeUnary(await iterate());
    assert.ok(performance.now() - startedAt < 1000, `iteration ${iteration} took longer than 1 s`);
  }
}

/** All cases that need neither compression nor credentials of a cloud, by name. */
export const cases: Readonly<Record<string, Case>> = {
  async empty_unary(client) {
    const call = client.start("emptyCall");
    call.send({});
    call.halfClose();
    assert.ok((await call.receive()) !== undefined, "there is no response");
    await finish(call);
  },
  async large_unary(client) {
    await largeUnary(client);
  },
  async concurrent_large_unary(client) {
    await Promise.all(Array.from({ length: parallelCalls }, () => largeUnary(client)));
  },
  async client_streaming(client) {
    const call = client.start("streamingInputCall");
    for (const size of requestSizes) call.send(inputRequest(size));
    call.halfClose();
    assert.equal((await call.receive())?.aggregatedPayloadSize, 74_922);
    await finish(call);
  },
  async server_streaming(client) {
    const call = client.start("streamingOutputCall");
    call.send(outputRequest(responseSizes));
    call.halfClose();
    for (const size of responseSizes) assertZeros((await call.receive())?.payload?.body, size);
    await finish(call);
  },
  async ping_pong(client) {
    const call = client.start("fullDuplexCall");
    for (const [index, size] of responseSizes.entries()) {
      call.send(outputRequest([size], requestSizes[index]));
      assertZeros((await call.receive())?.payload?.body, size);
    }
    call.halfClose();
    await finish(call);
  },
  async empty_stream(client) {
    const call = client.start("fullDuplexCall");
    call.halfClose();
    await finish(call);
  },
  async custom_metadata(client) {
    assertEchoed(await largeUnary(client, { metadata: echoedMetadata }));
    const call = client.start("fullDuplexCall", { metadata: echoedMetadata });
    call.send(outputRequest([largeResponseBytes], 271_828));
    call.halfClose();
    assertZeros((await call.receive())?.payload?.body, largeResponseBytes);
    assertEchoed(await finish(call));
  },
  async status_code_and_message(client) {
    const status = { code: code.unknown, message: "test status message" };
    const single = client.start("unaryCall");
    single.send(simpleRequest({ responseStatus: status }));
    single.halfClose();
    const duplex = client.start("fullDuplexCall");
    duplex.send(outputRequest([], undefined, status));
    duplex.halfClose();
    for (const outcome of [await single.outcome, await duplex.outcome]) {
      assert.deepEqual({ code: outcome.code, message: outcome.details }, status);
    }
  },
  async special_status_message(client) {
    const message = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";
    const call = client.start("unaryCall");
    call.send(simpleRequest({ responseStatus: { code: code.unknown, message } }));
    call.halfClose();
    const outcome = await call.outcome;
    assert.deepEqual([outcome.code, outcome.details], [code.unknown, message]);
  },
  unimplemented_method: (client) => callUnimplemented(client, "unimplementedCall"),
  unimplemented_service: (client) => callUnimplemented(client, "unknownServiceCall"),
  async cancel_after_begin(client) {
    const call = client.start("streamingInputCall");
    call.cancel();
    assert.equal((await call.outcome).code, code.cancelled);
  },
  async cancel_after_first_response(client) {
    const call = client.start("fullDuplexCall");
    call.send(outputRequest([31_415], 27_182));
    assertZeros((await call.receive())?.payload?.body, 31_415);
    call.cancel();
    assert.equal((await call.outcome).code, code.cancelled);
  },
  async timeout_on_sleeping_server(client) {
    const call = client.start("fullDuplexCall", { timeoutMs: 1 });
    call.send({ ...outputRequest([]), payload: payload(27_182) });
    assert.equal((await call.outcome).code, code.deadlineExceeded);
  },
  async rpc_soak(client) {
    await soak(async () => client);
  },
  async channel_soak(_client, connect) {
    let current = connect();
    await soak(async () => {
      await current.close();
      current = connect();
      return current;
    });
    await current.close();
  },
};
