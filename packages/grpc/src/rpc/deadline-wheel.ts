/** The wheel's: a member of a slot's ring. Both undefined while in none. */
interface WheelLink {
  wheelNext: WheelLink | undefined;
  wheelPrevious: WheelLink | undefined;
}

/** Something with a deadline: implemented by call objects themselves, so that an entry costs no object. */
export interface DeadlineEntry extends WheelLink {
  /** In the wheel's time (`wheel.now()`), milliseconds. Set before `add`, fixed until `remove`. */
  deadlineAt: number;
  /** The deadline passed; the entry is out of the wheel already. */
  onDeadline(): void;
}

/** Begins and ends the ring of a slot's entries. */
class Slot implements WheelLink {
  wheelNext: WheelLink = this;
  wheelPrevious: WheelLink = this;

  get isEmpty(): boolean {
    return this.wheelNext === this;
  }
}

/** Where the wheel's time comes from; passed in by tests. */
export interface WheelClock {
  /** Monotonic milliseconds. */
  now(): number;
  /** Runs `run` once, `delayMs` from now; a later call replaces the earlier one. Does not keep the process alive. */
  wake(delayMs: number, run: () => void): void;
}

const slotMs = 4;
const slotCount = 1024;

/**
 * Deadlines of all calls of the process on one timer.
 *
 * A wheel of slots of 4 ms each; an entry beyond the wheel's 4 s waits in its slot for later rounds. Adding and removing
 * are O(1) and allocate nothing; the timer is set for the earliest occupied slot and left alone while calls come and go.
 * Never early; late by a slot at most (and by the event loop).
 *
 * Entries are linked, not kept in arrays: the array that a growing one leaves behind is old by then, holds a few hundred calls, and
 * the collector keeps all of them until its next major collection, which comes the sooner for it.
 */
export class DeadlineWheel {
  /** Made as they are used: all at once took up to 6 ms of a process's start. */
  readonly #slots: (Slot | undefined)[] = new Array(slotCount).fill(undefined);
  readonly #clock: WheelClock;
  /** The last tick whose slot was looked at. */
  #doneTick: number;
  /** The tick that the timer is set for; Infinity when it isn't. */
  #wakeTick = Number.POSITIVE_INFINITY;
  #size = 0;
  readonly #run = () => this.#advance();

  constructor(clock: WheelClock = machineClock()) {
    this.#clock = clock;
    this.#doneTick = Math.floor(clock.now() / slotMs);
  }

  /** The wheel's time in milliseconds; what `deadlineAt` is measured in. */
  now(): number {
    return this.#clock.now();
  }

  /** How many entries wait. */
  get size(): number {
    return this.#size;
  }

  /** Calls `entry.onDeadline()` at `entry.deadlineAt`, once, unless it is removed before; never from within `add`. */
  add(entry: DeadlineEntry): void {
    if (this.#size === 0) this.#doneTick = Math.floor(this.#clock.now() / slotMs);
    // The first tick that begins at or after the deadline; one that has passed fires with the next tick.
    const tick = Math.max(Math.ceil(entry.deadlineAt / slotMs), this.#doneTick + 1);
    const index = tick & (slotCount - 1);
    let slot = this.#slots[index];
    if (slot === undefined) {
      slot = new Slot();
      this.#slots[index] = slot;
    }
    link(entry, slot);
    this.#size++;
    if (tick < this.#wakeTick) this.#wakeAt(tick);
  }

  /** Takes `entry` out; does nothing when it isn't in. */
  remove(entry: DeadlineEntry): void {
    if (entry.wheelNext === undefined) return;
    unlink(entry);
    this.#size--;
  }

  #wakeAt(tick: number): void {
    this.#wakeTick = tick;
    const delayMs = tick * slotMs - this.#clock.now();
    // Once a round at least: Node's timers overflow at 24 days.
    this.#clock.wake(Math.min(Math.max(1, delayMs), slotCount * slotMs), this.#run);
  }

  #advance(): void {
    const nowMs = this.#clock.now();
    const nowTick = Math.floor(nowMs / slotMs);
    // After a long pause one round sees every slot.
    const first = Math.max(this.#doneTick + 1, nowTick - slotCount + 1);
    this.#doneTick = Math.max(nowTick, this.#doneTick);
    this.#wakeTick = Number.POSITIVE_INFINITY;
    for (let tick = first; tick <= nowTick; tick++) this.#expire(this.#slots[tick & (slotCount - 1)], nowMs);
    // Also after an `add` from within: it may be later than one that still waits.
    if (this.#size > 0) this.#wakeAt(this.#nextOccupiedTick());
  }

  #expire(slot: Slot | undefined, nowMs: number): void {
    if (slot === undefined || slot.isEmpty) return;
    // Handlers may remove others of the slot, and add some: those that are due first go to a ring of their own.
    const due = new Slot();
    for (let next = slot.wheelNext; next !== slot; ) {
      const entry = next as DeadlineEntry;
      next = entry.wheelNext!;
      if (entry.deadlineAt > nowMs) continue;
      unlink(entry);
      link(entry, due);
    }
    while (!due.isEmpty) {
      const entry = due.wheelNext as DeadlineEntry;
      this.remove(entry);
      entry.onDeadline();
    }
  }

  #nextOccupiedTick(): number {
    for (let tick = this.#doneTick + 1; tick < this.#doneTick + slotCount; tick++) {
      const slot = this.#slots[tick & (slotCount - 1)];
      if (slot !== undefined && !slot.isEmpty) return tick;
    }
    return this.#doneTick + slotCount;
  }
}

function link(entry: WheelLink, slot: Slot): void {
  const last = slot.wheelPrevious;
  entry.wheelPrevious = last;
  entry.wheelNext = slot;
  last.wheelNext = entry;
  slot.wheelPrevious = entry;
}

function unlink(entry: WheelLink): void {
  const { wheelNext, wheelPrevious } = entry;
  wheelNext!.wheelPrevious = wheelPrevious;
  wheelPrevious!.wheelNext = wheelNext;
  entry.wheelNext = undefined;
  entry.wheelPrevious = undefined;
}

function machineClock(): WheelClock {
  let timer: NodeJS.Timeout | undefined;
  // The global is an accessor, which optimised code calls each time.
  const { performance } = globalThis;
  return {
    now: () => performance.now(),
    wake(delayMs, run) {
      clearTimeout(timer);
      timer = setTimeout(run, delayMs).unref();
    },
  };
}

/** The process's wheel. */
export const deadlines = new DeadlineWheel();
