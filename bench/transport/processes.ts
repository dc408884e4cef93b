import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { StackName } from "./workload.ts";

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

export const serverCore = 0;
export const clientCore = 1;

/** What a server process says of itself. */
export interface Usage {
  readonly cpuUs: number;
  readonly rssBytes: number;
}

/** A process that answers in lines, pinned with all its threads to one core. */
export class BenchProcess implements AsyncDisposable {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  private readonly name: string;

  constructor(core: number, name: string, command: readonly string[]) {
    const [program = "", ...rest] = canPin ? ["taskset", "-c", String(core), ...command] : command;
    this.name = name;
    this.child = spawn(program, rest, {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, GOMAXPROCS: "1" },
    });
    // A process that is gone shows in its output's end.
    this.child.stdin?.on("error", () => this.child.stdin?.destroy());
    this.lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** The next line. Rejects when the process ends before. */
  async line(): Promise<string> {
    const { done, value } = await this.lines.next();
    if (done === true) throw new Error(`the ${this.name} ended before it answered`);
    return value;
  }

  async ask(question: "usage" | "collect"): Promise<Usage> {
    this.child.stdin?.write(`${question}\n`);
    return JSON.parse(await this.line()) as Usage;
  }

  /** Ends the process, by the end of its input, and waits for that. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    const late = setTimeout(() => this.child.kill("SIGKILL"), 2000);
    await ended;
    clearTimeout(late);
  }
}

/** How a process of one of the bench's scripts is started, or the Go program, which has both roles. */
export function commandFor(
  script: "server" | "client" | "import",
  stack: StackName,
  goProgram: string | undefined,
  argument: string,
): string[] {
  if (stack !== "grpc-go")
    return [process.execPath, join(import.meta.dirname, `${script}-process.ts`), stack, argument];
  if (goProgram === undefined) throw new Error("the Go program is not built");
  return [goProgram, script, argument];
}
