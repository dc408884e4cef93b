// Counts the timers that are set in this process. Import it first: it replaces the global functions.
const live = new Set<unknown>();
const { setTimeout: realSetTimeout, setInterval: realSetInterval, clearTimeout: realClear } = globalThis;

globalThis.setTimeout = Object.assign(
  (callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
    const timer: NodeJS.Timeout = realSetTimeout(() => {
      live.delete(timer);
      callback(...args);
    }, delayMs);
    live.add(timer);
    return timer;
  },
  realSetTimeout,
) as typeof setTimeout;

globalThis.setInterval = ((callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) => {
  const timer = realSetInterval(callback, delayMs, ...args);
  live.add(timer);
  return timer;
}) as typeof setInterval;

globalThis.clearTimeout = globalThis.clearInterval = (timer) => {
  live.delete(timer);
  realClear(timer);
};

/** Timers that are neither over nor cleared, Node's own apart. */
export function liveTimers(): number {
  return live.size;
}
