import type { Duration } from "@weft/xds-api/google/protobuf/duration";
import { invalid } from "./invalid-resource.ts";

/** The longest Duration that protobuf allows, about 10,000 years. */
const longestSeconds = 315_576_000_000n;

/** `duration` in whole milliseconds, rounded up so that a tiny limit doesn't become none. Refuses negative and malformed ones. */
export function durationMs(duration: Duration): number {
  const { seconds, nanos } = duration;
  if (seconds < 0n || seconds > longestSeconds || nanos < 0 || nanos > 999_999_999) {
    invalid(`${seconds}s and ${nanos}ns is not a duration of 0 or more`);
  }
  return Number(seconds) * 1000 + Math.ceil(nanos / 1_000_000);
}
