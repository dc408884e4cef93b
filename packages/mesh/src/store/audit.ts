import type { DatabaseSync, StatementSync } from "node:sqlite";
import { transaction } from "./database.ts";
import type { AuditEntry } from "./records.ts";

// A flood of refused attempts must not fill the disk, nor must one long string.
const keptEntries = 10_000;
const longestField = 1_024;

/** Who tried what, allowed or refused. Bounded: the oldest entries go first. */
export class AuditLog {
  readonly #database: DatabaseSync;
  readonly #insert: StatementSync;
  readonly #trim: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#insert = database.prepare(
      "INSERT INTO audit (at_ms, principal, action, subject, outcome, detail) VALUES (?, ?, ?, ?, ?, ?)",
    );
    this.#trim = database.prepare("DELETE FROM audit WHERE id <= ?");
  }

  append(entry: AuditEntry): void {
    transaction(this.#database, () => {
      const { lastInsertRowid } = this.#insert.run(
        entry.atMs,
        bounded(entry.principal),
        bounded(entry.action),
        bounded(entry.subject),
        entry.outcome,
        bounded(entry.detail),
      );
      this.#trim.run(Number(lastInsertRowid) - keptEntries);
    });
  }

  /** The newest entries, newest first. */
  latest(count: number): readonly AuditEntry[] {
    return this.#database
      .prepare("SELECT * FROM audit ORDER BY id DESC LIMIT ?")
      .all(count)
      .map((row) => ({
        atMs: Number(row["at_ms"]),
        principal: String(row["principal"]),
        action: String(row["action"]),
        subject: String(row["subject"]),
        outcome: row["outcome"] === "allowed" ? "allowed" : "refused",
        detail: String(row["detail"]),
      }));
  }
}

function bounded(text: string): string {
  return text.length <= longestField ? text : `${text.slice(0, longestField)}…`;
}
