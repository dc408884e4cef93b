import type { DatabaseSync } from "node:sqlite";
import { transaction } from "./database.ts";
import type { ResourceWrite } from "./records.ts";

/** What files said before they went wrong, for as long as they are wrong: a restart must not turn a typing error into an outage. */
export class LastGoodTable {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** All of it, by file, kind, namespace and name. */
  list(): readonly ResourceWrite[] {
    return this.#database
      .prepare("SELECT file, kind, namespace, name, text, line FROM last_good ORDER BY file, kind, namespace, name")
      .all()
      .map((row) => ({
        file: String(row["file"]),
        kind: String(row["kind"]),
        namespace: String(row["namespace"]),
        name: String(row["name"]),
        text: String(row["text"]),
        line: Number(row["line"]),
      }));
  }

  /** Keeps exactly `documents`, in one transaction. */
  replace(documents: readonly ResourceWrite[]): void {
    transaction(this.#database, () => {
      this.#database.exec("DELETE FROM last_good");
      const insert = this.#database.prepare(
        "INSERT OR REPLACE INTO last_good (file, kind, namespace, name, text, line) VALUES (?, ?, ?, ?, ?, ?)",
      );
      for (const { file, kind, namespace, name, text, line } of documents)
        insert.run(file, kind, namespace, name, text, line);
    });
  }
}
