import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../packages/mesh/bin/weft.js", import.meta.url));

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One `weft` process as a terminal sees it: what it prints, its signals, how it ends. Its temporary files go to `tmp`. */
export class WeftProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = "";
  #stderr = "";
  #heard = new Set<() => void>();

  constructor(args: readonly string[], env: Readonly<Record<string, string>>) {
    this.child = spawn(process.execPath, [launcher, ...args], { env, stdio: ["pipe", "pipe", "pipe"] });
    this.child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
      for (const heard of this.#heard) heard();
    });
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
      for (const heard of this.#heard) heard();
    });
    this.ended = once(this.child, "close").then(([code, signal]) => {
      for (const heard of this.#heard) heard();
      return { code, signal, stdout: this.#stdout, stderr: this.#stderr };
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Resolves when it has printed `text`, on either stream; throws with all it printed where it ends before. */
  async prints(text: string): Promise<void> {
    let isOver = false;
    void this.ended.then(() => {
      isOver = true;
    });
    while (!this.#stdout.includes(text) && !this.#stderr.includes(text)) {
      if (isOver) throw new Error(`it ended without printing ${text}:\n${this.#stdout}${this.#stderr}`);
      await new Promise<void>((resolve) => {
        const heard = (): void => {
          this.#heard.delete(heard);
          // After the handlers of "close" have noted that it is over.
          setImmediate(resolve);
        };
        this.#heard.add(heard);
      });
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

/** A place for processes to leave things in, to see that they left nothing. Disposing ends and removes what there is. */
export class Terminal implements AsyncDisposable {
  readonly tmp = mkdtempSync(join(tmpdir(), "weft-terminal-"));
  readonly #processes: WeftProcess[] = [];

  /** Starts `weft <args>` with nothing of this process's own environment but PATH. */
  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): WeftProcess {
    const base = { PATH: process.env["PATH"] ?? "", TMPDIR: this.tmp, HOME: this.tmp };
    const started = new WeftProcess(args, { ...base, ...env });
    this.#processes.push(started);
    return started;
  }

  async run(args: readonly string[], env: Readonly<Record<string, string>> = {}, stdin = ""): Promise<Ended> {
    const started = this.start(args, env);
    started.child.stdin?.end(stdin);
    return await started.ended;
  }

  /** The names in the directory for temporary files. */
  left(): string[] {
    return readdirSync(this.tmp);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child } of this.#processes) child.kill("SIGKILL");
    await Promise.all(this.#processes.map(({ ended }) => ended));
    rmSync(this.tmp, { recursive: true, force: true });
  }
}

/** The live processes whose environment holds `text`; Linux only, elsewhere none can be told. */
export function processesWith(text: string): number[] {
  if (!existsSync("/proc/self/environ")) return [];
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return readFileSync(`/proc/${name}/environ`, "utf8").includes(text) ? [Number(name)] : [];
    } catch {
      // It ended meanwhile, or is another user's.
      return [];
    }
  });
}
