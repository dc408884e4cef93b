/** Time as a parameter (the same shape as the transport's clock, so that one serves both): what waits in the control plane waits on one of these. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Runs `action` once after `delayMs`, unless the returned function is called before. */
  schedule(delayMs: number, action: () => void): () => void;
}

/** The machine's own clock. Its timers don't keep the process alive: what waits here never has work of its own to finish. */
export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
