/** Time as a parameter: whatever waits waits on one of these, so that tests pass their own and none sleeps. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `run` once, `delayMs` from now; the function it returns calls it off. */
  schedule(delayMs: number, run: () => void): () => void;
}

/** Node's timers overflow beyond this and would fire at once. */
const longestTimerMs = 2 ** 31 - 1;

/** The machine's clock. Its timers don't keep the process alive: what waits here never has work of its own to finish. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, run) {
    let timer: NodeJS.Timeout;
    const wait = (remainingMs: number) => {
      const step = Math.min(remainingMs, longestTimerMs);
      timer = setTimeout(() => (remainingMs > step ? wait(remainingMs - step) : run()), step).unref();
    };
    wait(Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
};
