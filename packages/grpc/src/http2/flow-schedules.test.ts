import fc from "fast-check";
import { expect, test } from "vitest";
import { Http2Connection } from "./connection.ts";
import { ErrorCode, type Http2Error } from "./error.ts";
import type { Http2Limits } from "./options.ts";
import type { Http2Stream, StreamHandler } from "./stream.ts";
import { okHead, postHead } from "./testing/echo.ts";
import { Wire } from "./testing/wire.ts";

// small enough that every schedule runs into them
const limits: Partial<Http2Limits> = {
  initialStreamWindowBytes: 10_000,
  maxStreamWindowBytes: 40_000,
  initialConnectionWindowBytes: 65_535,
  // doesn't grow: what it comes to in the end tells whether some of it was lost
  maxConnectionWindowBytes: 65_535,
  writeHighWaterBytes: 20_000,
  writeLowWaterBytes: 5_000,
};

/** One side of one stream: counts upwards in what it sends, and checks that the other side does. */
class Side implements StreamHandler {
  readonly #connection: () => Http2Connection;
  stream: Http2Stream | undefined;
  sent = 0;
  received = 0;
  held = 0;
  isInOrder = true;
  hasEnded = false;
  isClosed = false;
  error: Http2Error | undefined;

  constructor(connection: () => Http2Connection) {
    this.#connection = connection;
  }

  write(bytes: number, end: boolean): void {
    if (this.hasEnded || this.isClosed || this.stream === undefined) return;
    const body = new Uint8Array(bytes);
    for (let i = 0; i < bytes; i += 1) body[i] = (this.sent + i) % 251;
    this.sent += bytes;
    this.hasEnded = end;
    this.#connection().write(this.stream, undefined, body, end);
  }

  consume(bytes: number): void {
    const count = Math.min(bytes, this.held);
    if (this.isClosed || this.stream === undefined || count === 0) return;
    this.held -= count;
    this.#connection().consume(this.stream, count);
  }

  reset(): void {
    if (this.stream !== undefined) this.#connection().reset(this.stream, ErrorCode.CANCEL);
  }

  onHeaders(): void {
    // bodies are what counts here
  }

  onData(chunk: Uint8Array, start: number, end: number): void {
    for (let i = start; i < end; i += 1) if (chunk[i] !== (this.received + i - start) % 251) this.isInOrder = false;
    this.received += end - start;
    this.held += end - start;
  }

  onWritable(): void {
    // writes go on whatever was answered: the queue is part of what is tested
  }

  onClose(error: Http2Error | undefined): void {
    this.isClosed = true;
    this.error = error;
  }
}

const step = fc.oneof(
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("open" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("write" as const),
      stream: fc.nat(4),
      bytes: fc.oneof(fc.nat(300), fc.nat(30_000)),
      isClient: fc.boolean(),
      end: fc.nat(9).map((n) => n === 0),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("consume" as const),
      stream: fc.nat(4),
      bytes: fc.nat(20_000),
      isClient: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("reset" as const), stream: fc.nat(4), isClient: fc.boolean() }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("deliver" as const),
      up: fc.oneof(fc.nat(40), fc.nat(40_000)),
      down: fc.oneof(fc.nat(40), fc.nat(40_000)),
    }),
  },
);

/** Lets writes of this tick leave. */
const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

test("no schedule makes either side exceed a window, lose or reorder a byte, or leak a window", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const wire = new Wire();
      const clients: Side[] = [];
      const servers: Side[] = [];
      const nothing = { onGoaway: () => undefined, onCapacity: () => undefined, onClose: () => undefined };
      const server: Http2Connection = new Http2Connection(
        wire.server,
        "server",
        {
          ...nothing,
          onStream(stream) {
            const side = new Side(() => server);
            side.stream = stream;
            servers[(stream.id - 1) / 2] = side;
            server.sendHeaders(stream, okHead, [], false);
            return side;
          },
        },
        { limits },
      );
      const noStream = () => {
        throw new Error("a client gets no requests");
      };
      const client = new Http2Connection(wire.client, "client", { ...nothing, onStream: noStream }, { limits });
      const sides = (isClient: boolean) => (isClient ? clients : servers);
      for (const each of steps) {
        if (each.kind === "deliver") wire.deliver(each.up, each.down);
        else if (each.kind === "open" && clients.length < 5 && client.canOpenStream) {
          const side = new Side(() => client);
          clients.push(side);
          side.stream = client.request(side, postHead, [], false);
        } else if (each.kind === "write")
          sides(each.isClient)[each.stream]?.write(each.bytes, each.end && each.isClient);
        else if (each.kind === "consume") sides(each.isClient)[each.stream]?.consume(each.bytes);
        else if (each.kind === "reset") sides(each.isClient)[each.stream]?.reset();
        await tick();
        expect([wire.toServer.ledger.excess, wire.toClient.ledger.excess]).toEqual([0, 0]);
      }
      // from here on everybody reads, and then ends
      for (let turn = 0; turn < 400; turn += 1) {
        wire.deliver(1e6, 1e6);
        await tick();
        for (const side of [...clients, ...servers]) side?.consume(1e6);
        // servers last: one that has answered doesn't want the rest of its request
        if (turn === 200) for (const side of clients) side.write(1, true);
        if (turn === 210) for (const side of servers) side?.write(1, true);
        if (turn > 220 && wire.isQuiet) break;
      }
      expect([wire.toServer.ledger.excess, wire.toClient.ledger.excess]).toEqual([0, 0]);
      expect([client.isClosed, server.isClosed, client.openStreams, server.openStreams]).toEqual([false, false, 0, 0]);
      clients.forEach((side, n) => {
        const other = servers[n];
        expect([side.isInOrder, other?.isInOrder ?? true, side.isClosed]).toEqual([true, true, true]);
        if (side.error === undefined && other?.error === undefined) {
          expect([side.received, other?.received]).toEqual([other?.sent, side.sent]);
        }
      });
      // half a window more, in small pieces, and all of it is given back: now the windows must be whole
      const last = new Side(() => client);
      last.stream = client.request(last, postHead, [], false);
      const largest = [0, 0];
      for (let turn = 0; turn < 40; turn += 1) {
        last.write(1000, false);
        servers[(last.stream.id - 1) / 2]?.write(1000, false);
        for (let i = 0; i < 3; i += 1) {
          await tick();
          wire.deliver(1e6, 1e6);
          last.consume(1e6);
          servers[(last.stream.id - 1) / 2]?.consume(1e6);
        }
        largest[0] = Math.max(largest[0] as number, wire.toServer.ledger.connection);
        largest[1] = Math.max(largest[1] as number, wire.toClient.ledger.connection);
      }
      expect(largest).toEqual([65_535, 65_535]);
      client.destroy();
      server.destroy();
    }),
    { numRuns: 200 },
  );
});
