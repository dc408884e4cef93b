import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { within } from "./guard.ts";

/** A program with its arguments. */
export type Command = readonly [program: string, ...args: string[]];

/** A case's client starts in a third of the time when its sources were compiled before. */
const environment = {
  ...process.env,
  NODE_COMPILE_CACHE: join(import.meta.dirname, "..", "..", "..", ".cache", "conformance-grpc-interop", "compiled"),
};

/** Our own programs run from source. */
export function nodeCommand(file: string, ...args: string[]): Command {
  return [process.execPath, "--conditions=@weft/source", "--no-warnings", file, ...args];
}

/** A server in a process of its own: it prints its port first, and ends with its standard input or is killed. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number;
}

/** Starts a server and waits for its port. */
export async function startServer(command: Command): Promise<RunningServer> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], env: environment });
  try {
    const port = await within(20_000, portOf(child));
    return { port, [Symbol.asyncDispose]: () => stop(child) };
  } catch (error) {
    await stop(child);
    throw error;
  }
}

async function portOf(child: ChildProcessByStdio<Writable, Readable, null>): Promise<number> {
  for await (const line of createInterface({ input: child.stdout })) {
    const port = Number(line);
    if (!Number.isInteger(port) || port <= 0) throw new Error(`a server printed ${line} where its port should stand`);
    // What else it prints must not fill the pipe.
    child.stdout.resume();
    return port;
  }
  throw new Error("a server ended before it listened");
}

async function stop(child: ChildProcessByStdio<Writable, Readable, null>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.stdin.on("error", () => undefined).end();
  try {
    await within(2000, exit);
  } catch {
    // It had its time.
    child.kill("SIGKILL");
    await exit;
  }
}

/** How a program ended and what it said. */
export interface Finished {
  readonly succeeded: boolean;
  readonly stdout: string;
  /** The telling line of what it wrote to stderr; what a failure is reported with. */
  readonly complaint: string;
}

/** Runs a program to its end, or kills it after `limitMs`. */
export async function runProgram(command: Command, limitMs: number): Promise<Finished> {
  const [program, ...args] = command;
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env: environment });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    stderr = (stderr + chunk).slice(-4000);
  });
  const closed = once(child, "close");
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, limitMs);
  const [status] = (await closed) as [number | null];
  clearTimeout(timer);
  const lines = stderr.trim().split("\n");
  const telling = lines.find((line) => /Error: |FATAL/.test(line)) ?? lines.at(-1) ?? "";
  return {
    succeeded: status === 0,
    stdout,
    complaint: timedOut ? `no end within ${limitMs / 1000} s` : telling || `ended with status ${status}`,
  };
}
