import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import type { Clock } from "@weft/grpc/platform";
import { transaction } from "./database.ts";
import type { BatchOutcome, ResourceKey, ResourceOutcome, ResourceWrite, StoredResource } from "./records.ts";

/** The applied documents. Revisions only rise, over restarts too; every batch that changes something takes the next one. */
export class ResourceTable {
  readonly #database: DatabaseSync;
  readonly #clock: Clock;
  readonly #select: StatementSync;
  readonly #upsert: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync, clock: Clock) {
    this.#database = database;
    this.#clock = clock;
    this.#select = database.prepare("SELECT * FROM resource WHERE kind = ? AND namespace = ? AND name = ?");
    this.#upsert = database.prepare(
      "INSERT OR REPLACE INTO resource (kind, namespace, name, text, file, line, revision, generation, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#remove = database.prepare("DELETE FROM resource WHERE kind = ? AND namespace = ? AND name = ?");
  }

  /** The revision of the last change; 0 when nothing was ever applied. */
  revision(): number {
    return Number(this.#database.prepare("SELECT value FROM counter WHERE name = 'revision'").get()?.["value"]);
  }

  /** Everything applied, ordered by kind, namespace, name. */
  list(): readonly StoredResource[] {
    const rows = this.#database.prepare("SELECT * FROM resource ORDER BY kind, namespace, name").all();
    return rows.map(resourceOf);
  }

  get(key: ResourceKey): StoredResource | undefined {
    const row = this.#select.get(key.kind, key.namespace, key.name);
    return row === undefined ? undefined : resourceOf(row);
  }

  /**
   * Keeps every document of the batch, in one transaction: either all of them are on disk when this returns, or it throws
   * a StoreError and none is. A document whose text is what is kept already counts as unchanged. The last of two documents
   * with one key wins.
   */
  apply(writes: readonly ResourceWrite[]): BatchOutcome {
    return this.#batch((revision) => writes.map((write) => this.#write(write, revision)));
  }

  /** What `apply` would do with these, keeping nothing. */
  preview(writes: readonly ResourceWrite[]): readonly ResourceOutcome[] {
    return writes.map((write) => outcomeOf(write, this.get(write)));
  }

  /** Removes the resources of `keys` that exist, in one transaction; those that don't are left out of the outcome. */
  delete(keys: readonly ResourceKey[]): BatchOutcome {
    return this.#batch(() =>
      keys.flatMap((key): ResourceOutcome[] => {
        const existing = this.get(key);
        if (existing === undefined) return [];
        this.#remove.run(key.kind, key.namespace, key.name);
        return [{ ...keyOf(key), change: "deleted", generation: existing.generation }];
      }),
    );
  }

  #batch(work: (revision: number) => readonly ResourceOutcome[]): BatchOutcome {
    return transaction(this.#database, () => {
      const current = this.revision();
      const outcomes = work(current + 1);
      if (outcomes.every((outcome) => outcome.change === "unchanged")) return { revision: current, outcomes };
      this.#database.prepare("UPDATE counter SET value = ? WHERE name = 'revision'").run(current + 1);
      return { revision: current + 1, outcomes };
    });
  }

  #write(write: ResourceWrite, revision: number): ResourceOutcome {
    const existing = this.get(write);
    const outcome = outcomeOf(write, existing);
    if (outcome.change === "unchanged") return outcome;
    const now = this.#clock.now();
    this.#upsert.run(
      write.kind,
      write.namespace,
      write.name,
      write.text,
      write.file,
      write.line,
      revision,
      outcome.generation,
      existing?.createdMs ?? now,
      now,
    );
    return outcome;
  }
}

function outcomeOf(write: ResourceWrite, existing: StoredResource | undefined): ResourceOutcome {
  const key = keyOf(write);
  if (existing === undefined) return { ...key, change: "created", generation: 1 };
  if (existing.text === write.text) return { ...key, change: "unchanged", generation: existing.generation };
  return { ...key, change: "configured", generation: existing.generation + 1 };
}

function keyOf({ kind, namespace, name }: ResourceKey): ResourceKey {
  return { kind, namespace, name };
}

function resourceOf(row: Record<string, SQLOutputValue>): StoredResource {
  return {
    kind: String(row["kind"]),
    namespace: String(row["namespace"]),
    name: String(row["name"]),
    text: String(row["text"]),
    file: String(row["file"]),
    line: Number(row["line"]),
    revision: Number(row["revision"]),
    generation: Number(row["generation"]),
    createdMs: Number(row["created_ms"]),
    updatedMs: Number(row["updated_ms"]),
  };
}
