import { constants } from "node:os";

const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Ctrl-C reaches a process twice where npm stands between it and the terminal: what comes this soon is the same press. */
const samePressMs = 500;

/** What shells give as the exit code of a process that `signal` ended. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}

/**
 * Calls `stop` at the first SIGINT, SIGTERM or SIGHUP, and `insist` at each later one: whoever presses Ctrl-C again means
 * it. The function it returns stops listening.
 */
export function watchStopSignals(
  stop: (signal: NodeJS.Signals) => void,
  insist: (signal: NodeJS.Signals) => void,
): () => void {
  let stoppedAtMs: number | undefined;
  const listener = (signal: NodeJS.Signals): void => {
    const now = performance.now();
    if (stoppedAtMs === undefined) {
      stoppedAtMs = now;
      stop(signal);
    } else if (now - stoppedAtMs > samePressMs) insist(signal);
  };
  for (const signal of stopSignals) process.on(signal, listener);
  return () => {
    for (const signal of stopSignals) process.off(signal, listener);
  };
}

/** Resolves at the first stop signal. A later one ends the process at once. */
export function untilStopped(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    watchStopSignals(resolve, (signal) => process.exit(exitCodeOf(signal)));
  });
}
