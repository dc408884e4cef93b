/** One look at a process's memory. */
export interface MemorySample {
  /** Calls made until then. */
  readonly calls: number;
  readonly bytes: number;
}

/** The line through samples. */
export interface Trend {
  readonly bytesPerCall: number;
  /** What the line rises from the first sample to the last. */
  readonly growthBytes: number;
}

/**
 * How memory goes with the calls made: Theil and Sen's line, the median of the slopes between all pairs, which one sample
 * taken at a bad moment doesn't turn.
 */
export function memoryTrend(samples: readonly MemorySample[]): Trend {
  const slopes: number[] = [];
  for (const [index, first] of samples.entries()) {
    for (const second of samples.slice(index + 1)) {
      if (second.calls > first.calls) slopes.push((second.bytes - first.bytes) / (second.calls - first.calls));
    }
  }
  slopes.sort((a, b) => a - b);
  const bytesPerCall = slopes[slopes.length >> 1] ?? 0;
  const span = (samples.at(-1)?.calls ?? 0) - (samples[0]?.calls ?? 0);
  return { bytesPerCall, growthBytes: bytesPerCall * span };
}
