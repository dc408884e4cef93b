import type { SourceStatus, TlsMaterial } from "./material.ts";

/** What every changing source keeps: its material, its roots, how it is doing, and who wants to know. */
export class SourceState {
  #material: TlsMaterial | undefined;
  #roots: string | undefined;
  #lastError: string | undefined;
  #nextAttempt: Date | undefined;
  readonly #watchers = new Set<() => void>();
  readonly #statusWatchers = new Set<() => void>();

  current(): TlsMaterial | undefined {
    return this.#material;
  }

  roots(): string | undefined {
    return this.#roots;
  }

  status(): SourceStatus {
    return { notAfter: this.#material?.notAfter, lastError: this.#lastError, nextAttempt: this.#nextAttempt };
  }

  /** Material and roots swap together, so that nobody sees half of a rotation. */
  swap(material: TlsMaterial | undefined, roots: string | undefined): void {
    if (material === this.#material && roots === this.#roots) return;
    this.#material = material;
    this.#roots = roots;
    tell(this.#watchers);
  }

  report(lastError: string | undefined, nextAttempt: Date | undefined): void {
    this.#lastError = lastError;
    this.#nextAttempt = nextAttempt;
    tell(this.#statusWatchers);
  }

  watch(changed: () => void): () => void {
    return subscribe(this.#watchers, changed);
  }

  watchStatus(changed: () => void): () => void {
    return subscribe(this.#statusWatchers, changed);
  }

  clear(): void {
    this.#watchers.clear();
    this.#statusWatchers.clear();
  }
}

function subscribe(watchers: Set<() => void>, changed: () => void): () => void {
  // Wrapped, so that one function may watch twice and stop once.
  const watcher = () => changed();
  watchers.add(watcher);
  return () => watchers.delete(watcher);
}

function tell(watchers: ReadonlySet<() => void>): void {
  for (const watcher of [...watchers]) watcher();
}
