// What the client does and asserts in the HTTP/2 negative cases; what the server asserts stands in the behaviours.
import assert from "node:assert/strict";
import { type Case, largeUnary } from "./cases.ts";
import type { InteropClient } from "./exchange.ts";
import { largeRequest } from "./messages.ts";
import type { NegativeCase } from "./negative-behaviours.ts";

const internal = 13;
const parallelCalls = 15;

/** A call whose stream is reset with NO_ERROR is INTERNAL (PROTOCOL-HTTP2.md, "Errors"), and gives nobody a response. */
async function failedUnary(client: InteropClient): Promise<void> {
  const call = client.start("unaryCall");
  call.send(largeRequest());
  call.halfClose();
  const outcome = await call.outcome;
  assert.equal(outcome.code, internal, outcome.details);
  assert.equal(await call.receive(), undefined, "there is a response");
}

async function oneUnary(client: InteropClient): Promise<void> {
  await largeUnary(client);
}

export const negativeCases: Readonly<Record<NegativeCase, Case>> = {
  async goaway(client) {
    // The GOAWAY comes before the first response: no need to wait for it.
    await largeUnary(client);
    await largeUnary(client);
  },
  rst_after_header: failedUnary,
  rst_during_data: failedUnary,
  rst_after_data: failedUnary,
  ping: oneUnary,
  async max_streams(client) {
    await largeUnary(client);
    await Promise.all(Array.from({ length: parallelCalls }, () => largeUnary(client)));
  },
  data_frame_padding: oneUnary,
  no_df_padding_sanity_test: oneUnary,
};
