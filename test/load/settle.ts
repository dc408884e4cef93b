import { setTimeout as delay } from "node:timers/promises";

/** Waits until `isSettled`, for `limitMs` at the most: what ends by itself has its time, what doesn't is found. */
export async function settle(isSettled: () => boolean, limitMs = 10_000): Promise<void> {
  const until = performance.now() + limitMs;
  while (!isSettled() && performance.now() < until) await delay(50);
}
