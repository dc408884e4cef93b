import { expect, test } from "vitest";
import { BusyPoll, nearMs, WakefulLoop } from "./busy-poll.ts";
import { connectClient, startEcho } from "./testing/echo.ts";

/** An event loop whose sockets are looked at every 10 µs while it is awake. */
class ScriptedLoop extends WakefulLoop {
  nowMs = 0;
  awakeMs = 0;
  #callback: (() => void) | undefined;

  constructor() {
    super({ now: () => this.nowMs, afterPoll: (callback) => this.#wait(callback) });
  }

  get isAwake(): boolean {
    return this.#callback !== undefined;
  }

  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    while (this.#callback !== undefined && this.nowMs < untilMs) {
      this.nowMs += 0.01;
      this.awakeMs += 0.01;
      const callback = this.#callback;
      this.#callback = undefined;
      callback();
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #wait(callback: () => void): void {
    if (this.#callback !== undefined) throw new Error("the loop is awake already");
    this.#callback = callback;
  }
}

/** `turns` calls one after the other, each answered after `gapMs`. Returns in how many of them the answer was waited for awake. */
function converse(loop: ScriptedLoop, poll: BusyPoll, turns: number, gapMs: number): number {
  let awake = 0;
  for (let turn = 0; turn < turns; turn++) {
    loop.pass(1);
    poll.onSent();
    loop.pass(gapMs);
    if (loop.isAwake) awake++;
    poll.onReceived();
  }
  return awake;
}

test("answers of a near peer are waited for awake, every one", () => {
  const loop = new ScriptedLoop();
  expect(converse(loop, new BusyPoll(loop), 1000, nearMs / 2)).toBe(1000);
});

test("waiting for a peer that is far or slow costs less than a thousandth of the time", () => {
  const loop = new ScriptedLoop();
  const poll = new BusyPoll(loop);
  converse(loop, poll, 50_000, 1);
  const { awakeMs, nowMs } = loop;
  expect(converse(loop, poll, 50_000, 1)).toBe(0);
  expect(loop.awakeMs - awakeMs).toBeLessThan((loop.nowMs - nowMs) / 1000);
});

test("a peer that was slow for once is still waited for awake", () => {
  const loop = new ScriptedLoop();
  const poll = new BusyPoll(loop);
  converse(loop, poll, 10, nearMs / 2);
  converse(loop, poll, 1, 5);
  expect(converse(loop, poll, 10, nearMs / 2)).toBe(10);
});

test("a peer that comes near is found out", () => {
  const loop = new ScriptedLoop();
  const poll = new BusyPoll(loop);
  converse(loop, poll, 1000, 1);
  converse(loop, poll, 20_000, nearMs / 2);
  expect(converse(loop, poll, 1000, nearMs / 2)).toBe(1000);
});

test("a peer that is never heard again leaves the loop asleep", () => {
  const loop = new ScriptedLoop();
  new BusyPoll(loop).onSent();
  loop.pass(10);
  expect(loop.isAwake).toBe(false);
  expect(loop.awakeMs).toBeLessThan(0.3);
});

/** Remembers how often it was to stay awake, and sleeps. */
class CountingLoop extends WakefulLoop {
  times = 0;

  constructor() {
    super({ now: () => 0, afterPoll: () => undefined });
  }

  override stayAwakeUntil(): void {
    this.times += 1;
  }
}

test("both ends wait awake where one call is all that is under way, and only there", async () => {
  const [serverLoop, clientLoop] = [new CountingLoop(), new CountingLoop()];
  await using server = await startEcho({ busyPoll: serverLoop });
  using client = await connectClient(server.port, { busyPoll: clientLoop });
  for (let call = 0; call < 3; call++) await client.call(new Uint8Array(10)).done;
  expect(clientLoop.times).toBe(3);
  // Its SETTINGS and their acknowledgement may have left in turns of their own.
  expect(serverLoop.times).toBeGreaterThanOrEqual(3);

  const before = [serverLoop.times, clientLoop.times];
  await Promise.all([1, 2, 3].map(() => client.call(new Uint8Array(10)).done));
  expect([serverLoop.times, clientLoop.times]).toEqual(before);
});
