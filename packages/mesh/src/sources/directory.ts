import { type FSWatcher, watch } from "node:fs";
import type { Clock } from "@weft/grpc/platform";
import { type DirectoryScan, emptyScan, scanDirectory } from "./directory-scan.ts";

/** How long a directory is left alone after an event, so that one save is one change. */
export const debounceMs = 50;
/** How long a stream of events may put reading off. */
const longestDebounceMs = 500;
/** How often it is read without any event: for what watching misses (network file systems, a directory made later). */
export const rescanMs = 2_000;

/**
 * A directory of YAML as it is on disk now, read again whole after every burst of events.
 *
 * Events only say "look again", so lost, doubled or reordered ones change nothing but when.
 */
export class Directory implements AsyncDisposable {
  readonly path: string;
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #watchers = new Map<string, FSWatcher>();
  #scan: DirectoryScan = emptyScan;
  #reading: Promise<void> | undefined;
  #isStale = false;
  #isClosed = false;
  #cancelTimer: (() => void) | undefined;
  #firstEventMs: number | undefined;

  /** `changed` is called after a reading that found something else than the one before. */
  constructor(path: string, clock: Clock, changed: () => void) {
    this.path = path;
    this.#clock = clock;
    this.#changed = changed;
  }

  /** The newest complete reading. */
  get scan(): DirectoryScan {
    return this.#scan;
  }

  /** Reads the directory now; resolves when what was on disk at the time of the call is in `scan`. */
  async refresh(): Promise<void> {
    this.#isStale = true;
    while (this.#isStale && !this.#isClosed) {
      // Two readings at once could finish in the wrong order.
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelTimer?.();
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
    await this.#reading;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #read(): Promise<void> {
    this.#isStale = false;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const previous = this.#scan;
    const next = await scanDirectory(this.path, previous);
    if (this.#isClosed) return;
    this.#watch(next.directories);
    // An event during the reading has set an earlier time already.
    if (this.#cancelTimer === undefined) this.#wait(rescanMs);
    this.#scan = holdBack(previous, next);
    if (!isEqual(previous, this.#scan)) this.#changed();
  }

  #watch(directories: readonly string[]): void {
    for (const [directory, watcher] of this.#watchers) {
      if (directories.includes(directory)) continue;
      watcher.close();
      this.#watchers.delete(directory);
    }
    for (const directory of directories) {
      if (this.#watchers.has(directory)) continue;
      try {
        const watcher = watch(directory, () => this.#event());
        // A watcher that fails (the directory is gone) is dropped; the next reading opens it again if it can.
        watcher.on("error", () => this.#drop(directory, watcher));
        this.#watchers.set(directory, watcher);
        // What happened between reading the directory and watching it would never be announced.
        this.#event();
      } catch {
        // Too many watches on this machine, or gone meanwhile: reading at intervals goes on without.
      }
    }
  }

  #drop(directory: string, watcher: FSWatcher): void {
    watcher.close();
    if (this.#watchers.get(directory) === watcher) this.#watchers.delete(directory);
    this.#event();
  }

  #event(): void {
    if (this.#isClosed) return;
    const now = this.#clock.now();
    this.#firstEventMs ??= now;
    this.#wait(Math.max(0, Math.min(debounceMs, this.#firstEventMs + longestDebounceMs - now)));
  }

  #wait(delayMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#clock.schedule(delayMs, () => {
      this.#cancelTimer = undefined;
      this.#firstEventMs = undefined;
      // Never rejects: reading turns every failure into a diagnostic.
      void this.refresh();
    });
  }
}

/** A file that turned empty is most likely about to be written: its old text holds until the next reading finds it empty still. */
function holdBack(previous: DirectoryScan, next: DirectoryScan): DirectoryScan {
  const files = new Map(next.files);
  for (const [path, file] of next.files) {
    const before = previous.files.get(path);
    if (file.text !== "" || before === undefined || before.text === "") continue;
    // The stamp is of the old text no more, and not yet of the new: the next reading reads the file again.
    const waiting = `empty:${file.stamp}`;
    if (before.stamp !== waiting) files.set(path, { text: before.text, stamp: waiting });
  }
  return { ...next, files };
}

function isEqual(a: DirectoryScan, b: DirectoryScan): boolean {
  if (a.files.size !== b.files.size) return false;
  for (const [path, file] of b.files) if (a.files.get(path)?.text !== file.text) return false;
  return JSON.stringify(a.diagnostics) === JSON.stringify(b.diagnostics);
}
