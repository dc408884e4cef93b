import { getHeapSpaceStatistics } from "node:v8";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { collectGarbage } from "../http2/testing/garbage.ts";
import { type DeadlineEntry, DeadlineWheel, type WheelClock } from "./deadline-wheel.ts";

/** A clock that stands still until told to go on; fires as Node's timers do: at the time, never before. */
class ManualClock implements WheelClock {
  nowMs = 1000;
  wakes = 0;
  #at = Number.POSITIVE_INFINITY;
  #run: () => void = () => undefined;

  now(): number {
    return this.nowMs;
  }

  wake(delayMs: number, run: () => void): void {
    this.wakes++;
    this.#at = this.nowMs + delayMs;
    this.#run = run;
  }

  advance(ms: number): void {
    const end = this.nowMs + ms;
    while (this.#at <= end) {
      this.nowMs = Math.max(this.nowMs, this.#at);
      this.#at = Number.POSITIVE_INFINITY;
      this.#run();
    }
    this.nowMs = end;
  }
}

class Entry implements DeadlineEntry {
  deadlineAt: number;
  wheelNext: DeadlineEntry["wheelNext"] = undefined;
  wheelPrevious: DeadlineEntry["wheelPrevious"] = undefined;
  firedAt: number | undefined;
  readonly #onFired: (entry: Entry) => void;

  constructor(deadlineAt: number, onFired: (entry: Entry) => void) {
    this.deadlineAt = deadlineAt;
    this.#onFired = onFired;
  }

  onDeadline(): void {
    this.#onFired(this);
  }
}

function wheelAt(clock: ManualClock) {
  const wheel = new DeadlineWheel(clock);
  const add = (afterMs: number, onFired?: () => void) => {
    const entry = new Entry(clock.nowMs + afterMs, (fired) => {
      expect(fired.firedAt).toBeUndefined();
      fired.firedAt = clock.nowMs;
      onFired?.();
    });
    wheel.add(entry);
    return entry;
  };
  return { wheel, add };
}

describe("DeadlineWheel", () => {
  test("fires each entry once, never early, late by a slot at most; removed ones never", () => {
    const operation = fc.oneof(
      fc.record({
        kind: fc.constant("add"),
        ms: fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 20_000 })),
      }),
      fc.record({ kind: fc.constant("advance"), ms: fc.integer({ min: 0, max: 6000 }) }),
      fc.record({ kind: fc.constant("remove"), ms: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const clock = new ManualClock();
        const { wheel, add } = wheelAt(clock);
        const entries: Entry[] = [];
        const removed = new Set<Entry>();
        for (const { kind, ms } of operations) {
          const victim = entries[ms % Math.max(1, entries.length)];
          if (kind === "add") entries.push(add(ms));
          else if (kind === "advance") clock.advance(ms);
          else if (victim !== undefined && victim.firedAt === undefined) {
            wheel.remove(victim);
            removed.add(victim);
          }
        }
        clock.advance(30_000);
        for (const entry of entries) {
          if (removed.has(entry)) expect(entry.firedAt).toBeUndefined();
          else {
            expect(entry.firedAt).toBeGreaterThanOrEqual(entry.deadlineAt);
            expect(entry.firedAt).toBeLessThanOrEqual(entry.deadlineAt + 8);
          }
        }
        expect(wheel.size).toBe(0);
      }),
    );
  });

  test("leaves the timer alone while calls with the same deadline come and go", () => {
    const clock = new ManualClock();
    const { wheel, add } = wheelAt(clock);
    add(2000);
    for (let index = 0; index < 100; index++) wheel.remove(add(2000 + index));
    expect(clock.wakes).toBe(1);
  });

  test("an entry added by one that fires does not delay those that wait", () => {
    const clock = new ManualClock();
    const { add } = wheelAt(clock);
    add(10, () => add(10_000));
    const waiting = add(100);
    clock.advance(200);
    expect(waiting.firedAt).toBeLessThanOrEqual(waiting.deadlineAt + 8);
  });

  test("an entry may remove others of its slot while it fires", () => {
    const clock = new ManualClock();
    const { wheel, add } = wheelAt(clock);
    const others: Entry[] = [];
    const cancelOthers = () => {
      for (const other of others) if (other.firedAt === undefined) wheel.remove(other);
    };
    for (let index = 0; index < 5; index++) others.push(add(10, cancelOthers));
    clock.advance(50);
    expect(others.filter((entry) => entry.firedAt !== undefined)).toHaveLength(1);
  });

  test("keeps nothing of a crowd that came and went from the collector: a slot that grows leaves no old list behind", () => {
    const oldBytes = () => {
      collectGarbage("minor");
      return getHeapSpaceStatistics().find((space) => space.space_name === "old_space")!.space_used_size;
    };
    const { wheel, add } = wheelAt(new ManualClock());
    const crowd = (size: number) => {
      const entries = Array.from({ length: size }, () => Object.assign(add(2000), { load: new Array(100).fill(0) }));
      for (const entry of entries) wheel.remove(entry);
    };
    crowd(10);
    const before = oldBytes();
    for (let size = 100; size <= 3000; size += 100) {
      crowd(size);
      oldBytes();
    }
    // 6.6 MB with an array for a slot: each that it outgrew kept its entries.
    expect(oldBytes() - before).toBeLessThan(400_000);
  });
});
