import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { getHeapSpaceStatistics } from "node:v8";
import { deadlines } from "../../packages/grpc/src/rpc/deadline-wheel.ts";
import { liveTimers } from "./live-timers.ts";

/** What a process holds, counted: what must be as before once the traffic is over. */
export interface Holdings {
  readonly timers: number;
  /** Calls that wait for their deadline. */
  readonly deadlines: number;
  /** Open files and sockets; 0 where the system doesn't tell. */
  readonly descriptors: number;
  /** Listeners on the process object. */
  readonly processListeners: number;
}

/** Bytes in use after a forced collection. */
export interface Memory {
  /** Objects; without compiled code, of which V8 makes more for minutes. */
  readonly heapBytes: number;
  /** Outside the heap: buffers, and what zlib and TLS hold for them. */
  readonly externalBytes: number;
}

export function holdings(): Holdings {
  return {
    timers: liveTimers(),
    deadlines: deadlines.size,
    descriptors: existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0,
    processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  };
}

const objectSpaces = ["new_space", "old_space", "large_object_space", "new_large_object_space"];

/** Collects garbage, then looks. The process must run with --expose-gc. */
export async function memory(): Promise<Memory> {
  const { gc } = globalThis;
  assert.ok(gc !== undefined, "start this process with --expose-gc");
  // Finalizers run between collections, and free what the next one finds.
  for (let round = 0; round < 3; round++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const objects = getHeapSpaceStatistics().filter(({ space_name }) => objectSpaces.includes(space_name));
  return {
    heapBytes: objects.reduce((sum, space) => sum + space.space_used_size, 0),
    externalBytes: process.memoryUsage().external,
  };
}
