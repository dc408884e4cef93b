// A process that sleeps in the system's poll is slow to wake: some 10 µs on a quiet machine of one's own, 60 µs and more on a
// virtual one, at both ends of each call, and as much processor time as it takes to serve several. Where the peer answers sooner than
// that, it is cheaper to look again than to fall asleep (the reasoning of Linux's halt polling, and of locks that spin before they park).

/** Time and the event loop; passed in by tests. */
export interface PollLoop {
  /** Monotonic, in milliseconds. */
  now(): number;
  /** Runs `callback` after the loop has looked at its sockets, without sleeping there. */
  afterPoll(callback: () => void): void;
}

/** Waiting awake pays when the peer's bytes come within this: less than falling asleep and waking costs at both ends of a virtual machine. */
export const nearMs = 0.1;
/** How long is waited while that isn't known: the peer may still be asleep, and hear of a first call late. */
export const trialMs = 0.2;
const trialTurns = 16;
const leastTurnsAsleep = 64;
const mostTurnsAsleep = 16_384;

/** Keeps a process's event loop from sleeping in its poll. One a process: what any connection waits for, the loop looks for. */
export class WakefulLoop {
  readonly #loop: PollLoop;
  #untilMs = 0;
  #isAwake = false;

  constructor(loop: PollLoop) {
    this.#loop = loop;
  }

  now(): number {
    return this.#loop.now();
  }

  stayAwakeUntil(ms: number): void {
    this.#untilMs = ms;
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#loop.afterPoll(this.#onPolled);
  }

  readonly #onPolled = (): void => {
    if (this.#loop.now() < this.#untilMs) this.#loop.afterPoll(this.#onPolled);
    else this.#isAwake = false;
  };
}

/** The process's own. */
export const processLoop = new WakefulLoop({ now: () => performance.now(), afterPoll: setImmediate });

/**
 * Whether one connection waits for its peer's next bytes awake.
 *
 * It does where the bytes came within `nearMs` the last time. It finds out by trials of a few turns, at both ends at once since both count
 * the same turns; after each trial in vain it sleeps through twice as many turns, so that a peer that is far or slow costs next to nothing.
 */
export class BusyPoll {
  readonly #loop: WakefulLoop;
  /** When this side had said all, in a turn whose wait is awake; -1 in others. */
  #sentAtMs = -1;
  #isNear = false;
  #trialTurnsLeft = trialTurns;
  #turnsAsleep = 0;
  #nextSleep = leastTurnsAsleep;

  constructor(loop: WakefulLoop) {
    this.#loop = loop;
  }

  /** This side has said all it has to say: the peer's answer, or its next request, is what comes next. */
  onSent(): void {
    if (this.#turnsAsleep > 0) {
      this.#turnsAsleep -= 1;
      return;
    }
    this.#sentAtMs = this.#loop.now();
    this.#loop.stayAwakeUntil(this.#sentAtMs + (this.#isNear ? nearMs : trialMs));
  }

  /** Bytes of the peer are here. */
  onReceived(): void {
    if (this.#sentAtMs < 0) return;
    const waitedMs = this.#loop.now() - this.#sentAtMs;
    this.#sentAtMs = -1;
    this.#isNear = waitedMs <= nearMs;
    if (this.#isNear) {
      this.#trialTurnsLeft = trialTurns;
      this.#nextSleep = leastTurnsAsleep;
      return;
    }
    this.#trialTurnsLeft -= 1;
    if (this.#trialTurnsLeft > 0) return;
    this.#trialTurnsLeft = trialTurns;
    this.#turnsAsleep = this.#nextSleep;
    if (this.#nextSleep < mostTurnsAsleep) this.#nextSleep *= 2;
  }
}
