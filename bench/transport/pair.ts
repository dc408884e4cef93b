import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Measured } from "./load.ts";

/** Pinning needs Linux's taskset and two cores; without them the pair runs unpinned, and the report says so. */
export const canPin = ((): boolean => {
  if (availableParallelism() < 2) return false;
  try {
    execFileSync("taskset", ["-c", "0", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false; // not installed, or this process may not use core 0
  }
})();

function start(core: number, script: string, args: string[]): ChildProcess {
  const command = [process.execPath, join(import.meta.dirname, script), ...args];
  const [program = "", ...rest] = canPin ? ["taskset", "-c", String(core), ...command] : command;
  return spawn(program, rest, { stdio: ["pipe", "pipe", "inherit"] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("the process has no output");
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`a bench process ended with ${child.exitCode} before it printed anything`);
}

/** One measurement: a fresh server on core 0, a fresh client on core 1. */
export async function measurePair(stack: string, inFlight: number, warmupMs: number, ms: number): Promise<Measured> {
  const server = start(0, "server-process.ts", [stack]);
  try {
    const port = await firstLine(server);
    const client = start(1, "client-process.ts", [stack, port, String(inFlight), String(warmupMs), String(ms)]);
    return JSON.parse(await firstLine(client)) as Measured;
  } finally {
    const ended = server.exitCode === null ? once(server, "exit") : undefined;
    server.stdin?.end();
    await ended;
  }
}
