import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { Output } from "./output.ts";

/** The sizes of the writes that 7 kB, made in one turn a kilobyte at a time, leave in. */
async function writesOfOneTurn(isPeerSlow: boolean): Promise<number[]> {
  const sizes: number[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, done) {
      sizes.push(chunk.length);
      done();
    },
  });
  const output = new Output(socket, {
    isPeerSlow,
    onTurnSent: () => undefined,
    onBlocked: () => undefined,
    onDrain: () => undefined,
  });
  // The first turn sets how the next ones are sent.
  for (let turn = 0; turn < 2; turn++) {
    sizes.length = 0;
    for (let i = 0; i < 7; i++) output.advance(output.reserve(1000) + 1000);
    await new Promise(setImmediate);
  }
  return sizes;
}

test("a turn's first bytes leave early, so that a quick peer can begin", async () => {
  const sizes = await writesOfOneTurn(false);
  expect(sizes.length).toBeGreaterThan(1);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(7000);
});

test("all of a turn leaves in one write to a peer that takes long anyway", async () => {
  expect(await writesOfOneTurn(true)).toEqual([7000]);
});
