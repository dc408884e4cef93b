import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const launcher = fileURLToPath(new URL("../../bin/weft.js", import.meta.url));

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A name for messages; the first argument where absent. */
  readonly name?: string;
}

/** What a long-running `weft` command prints as its first line under `-o json`, once it is ready. */
export type ReadyLine = Readonly<Record<string, unknown>>;

/** A running `weft` process. It has printed its ready line, which is `ready`. */
export interface Running {
  readonly name: string;
  readonly pid: number;
  readonly ready: ReadyLine;
  /** What it printed after its ready line (the last 64 KiB). */
  output(): string;
  /** What it wrote to standard error so far (the last 64 KiB). */
  log(): string;
  /** Sends `signal` and resolves when the process has ended; at once where it had. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/**
 * The processes that one walk-through or test starts; all of them end with it.
 *
 * `close()` stops them in reverse order of their start: SIGTERM first, SIGKILL after 5 s.
 */
export class Processes {
  readonly #children: ChildProcess[] = [];
  #closed = false;

  constructor() {
    // A process that is told twice to stop exits without closing anything; it leaves none behind all the same.
    process.on("exit", this.#killAll);
  }

  readonly #killAll = (): void => {
    for (const child of this.#children) child.kill("SIGKILL");
  };

  /** Runs `weft <args>` to its end. */
  async run(args: readonly string[], options: StartOptions & { readonly stdin?: string } = {}): Promise<Finished> {
    const child = this.#spawn(args, options);
    const stdout = collect(child.stdout, Number.POSITIVE_INFINITY);
    const stderr = collect(child.stderr, Number.POSITIVE_INFINITY);
    child.stdin?.end(options.stdin ?? "");
    const [code] = (await once(child, "close")) as [number | null];
    return { code, stdout: stdout(), stderr: stderr() };
  }

  /** Starts `weft <args> -o json` and waits for its ready line; throws with its log where it ends before. */
  async start(args: readonly string[], options: StartOptions = {}): Promise<Running> {
    const child = this.#spawn([...args, "-o", "json"], options);
    const name = options.name ?? args[0] ?? "weft";
    const log = collect(child.stderr, 65_536);
    const stdout = collect(child.stdout, 65_536);
    const ready = await firstLine(child, name, log);
    return {
      name,
      pid: child.pid ?? 0,
      ready,
      output: () => stdout().slice(stdout().indexOf("\n") + 1),
      log,
      stop: (signal = "SIGTERM") => stop(child, signal),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const child of [...this.#children].reverse()) await stop(child, "SIGTERM");
    this.#children.length = 0;
    process.off("exit", this.#killAll);
  }

  #spawn(args: readonly string[], options: StartOptions): ChildProcess {
    if (this.#closed) throw new Error("the processes of this run are closed");
    // A process group of its own: Ctrl-C in the terminal reaches the walk-through alone, which then ends them in order.
    const child = spawn(process.execPath, [launcher, ...args], {
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
    });
    this.#children.push(child);
    return child;
  }
}

function collect(stream: NodeJS.ReadableStream | null, limit: number): () => string {
  let text = "";
  stream?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.length > limit) text = text.slice(-limit);
  });
  return () => text;
}

async function firstLine(child: ChildProcess, name: string, log: () => string): Promise<ReadyLine> {
  if (child.stdout === null) throw new Error(`${name} has no output`);
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, "line"), once(child, "close")])) as [unknown];
  lines.close();
  if (typeof line !== "string") throw new Error(`${name} ended before it was ready:\n${log()}`);
  return JSON.parse(line) as ReadyLine;
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "close");
  child.kill(signal);
  const lastResort = setTimeout(() => child.kill("SIGKILL"), 5000);
  await ended;
  clearTimeout(lastResort);
}
