import { describe, expect, test } from "vitest";
import { FakeClock } from "../identity/testing/fake-clock.ts";
import { type ConnectionLifetime, LifetimeWatch, type LimitedConnection } from "./connection-lifetime.ts";

const off: ConnectionLifetime = { keepaliveTimeMs: Number.POSITIVE_INFINITY };

/** A connection that only remembers what was done to it. */
function watched(options: ConnectionLifetime, random = 0.5) {
  const clock = new FakeClock();
  const events: string[] = [];
  const answers: (() => void)[] = [];
  const connection = {
    openCalls: 0,
    startedCalls: 0,
    drain: (graceMs: number) => void events.push(`drain ${graceMs}`),
    ping(answered: () => void) {
      events.push("ping");
      answers.push(answered);
    },
    destroy: (error: Error) => void events.push(error.message),
  } satisfies LimitedConnection;
  const watch = new LifetimeWatch(connection, { ...off, ...options }, clock, () => random);
  return { clock, events, connection, watch, answers };
}

describe("age", () => {
  test.each([
    [0, 900],
    [0.999, 1099],
  ])("ends a connection a tenth sooner or later (%d), with its grace", (random, afterMs) => {
    const { clock, events } = watched({ maxAgeMs: 1000, maxAgeGraceMs: 50 }, random);
    clock.advance(afterMs - 1);
    expect(events).toEqual([]);
    clock.advance(2);
    expect(events).toEqual(["drain 50"]);
  });

  test("leaves calls their time where no grace is set", () => {
    const { clock, events } = watched({ maxAgeMs: 1000 });
    clock.advance(1000);
    expect(events).toEqual(["drain Infinity"]);
  });
});

describe("idleness", () => {
  test("ends a connection without calls", () => {
    const { clock, events } = watched({ maxIdleMs: 1000 });
    clock.advance(999);
    expect(events).toEqual([]);
    clock.advance(1);
    expect(events).toEqual(["drain Infinity"]);
  });

  test("doesn't begin while a call is open, and anew with each that came and went", () => {
    const { clock, events, connection } = watched({ maxIdleMs: 1000 });
    connection.startedCalls = 1;
    connection.openCalls = 1;
    clock.advance(5000);
    connection.openCalls = 0;
    clock.advance(800);
    connection.startedCalls = 2;
    clock.advance(1000);
    expect(events).toEqual([]);
    clock.advance(250);
    expect(events).toEqual(["drain Infinity"]);
  });
});

describe("keepalive", () => {
  const options = { keepaliveTimeMs: 1000, keepaliveTimeoutMs: 100 };

  test("pings again and again while there are answers", () => {
    const { clock, events, answers } = watched(options);
    clock.advance(1000);
    answers.shift()?.();
    clock.advance(1000);
    answers.shift()?.();
    clock.advance(500);
    expect(events).toEqual(["ping", "ping"]);
  });

  test("gives a client up that doesn't answer", () => {
    const { clock, events } = watched(options);
    clock.advance(1100);
    expect(events).toEqual(["ping", "a keepalive ping was not answered within 100 ms"]);
  });

  test("is every two hours unless told", () => {
    const clock = new FakeClock();
    const { connection } = watched({});
    new LifetimeWatch(connection, {}, clock, Math.random);
    expect(clock.pendingMs()).toEqual([7_200_000]);
  });
});

describe("clients' pings", () => {
  test("are counted where they come too often, and the third is one too many", () => {
    const { clock, watch } = watched({ minPingIntervalMs: 1000 });
    expect(watch.onPing(true)).toBe(true);
    clock.advance(500);
    expect([watch.onPing(true), watch.onPing(true), watch.onPing(true)]).toEqual([true, true, false]);
  });

  test("are welcome at the interval, and while something is sent to the client", () => {
    const { clock, watch } = watched({ minPingIntervalMs: 1000 });
    for (let turn = 0; turn < 10; turn++) {
      clock.advance(1000);
      expect(watch.onPing(true)).toBe(true);
      expect(watch.onPing(false)).toBe(true);
    }
  });

  test("without a call may be forbidden", () => {
    const { clock, watch, connection } = watched({ minPingIntervalMs: 1000, pingsWithoutCalls: false });
    const pingTimes = (count: number) =>
      Array.from({ length: count }, () => {
        clock.advance(1000);
        return watch.onPing(true);
      });
    expect(pingTimes(4)).toEqual([true, true, true, false]);
    connection.openCalls = 1;
    expect(pingTimes(3)).toEqual([true, true, true]);
  });
});

test("nothing is left to happen after the connection's end", () => {
  const { clock, watch } = watched({ maxAgeMs: 1, maxIdleMs: 1, keepaliveTimeMs: 1 });
  watch.stop();
  expect(clock.pendingMs()).toEqual([]);
});
