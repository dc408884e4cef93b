import type { DatabaseSync, StatementSync } from "node:sqlite";
import { transaction } from "./database.ts";
import type { InterfaceOwner, StoredRegistration } from "./records.ts";

/** The registrations that a restarted control plane serves until their sessions return. */
export class RegistrationTable {
  readonly #database: DatabaseSync;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#put = database.prepare("INSERT OR REPLACE INTO registration (id, record, last_seen_ms) VALUES (?, ?, ?)");
    this.#remove = database.prepare("DELETE FROM registration WHERE id = ?");
  }

  list(): readonly StoredRegistration[] {
    return this.#database
      .prepare("SELECT id, record, last_seen_ms FROM registration ORDER BY id")
      .all()
      .map((row) => ({
        id: String(row["id"]),
        record: String(row["record"]),
        lastSeenMs: Number(row["last_seen_ms"]),
      }));
  }

  /** Keeps `registration`, on disk when this returns, and removes those that it replaces in the same transaction. */
  put(registration: StoredRegistration, replaced: readonly string[] = []): void {
    transaction(this.#database, () => {
      for (const id of replaced) this.#remove.run(id);
      this.#put.run(registration.id, registration.record, registration.lastSeenMs);
    });
  }

  delete(ids: readonly string[]): void {
    transaction(this.#database, () => {
      for (const id of ids) this.#remove.run(id);
    });
  }
}

/** Who owns which interface name. A name stays with its owner when the last instance is gone: otherwise a restart would be a chance to take it. */
export class InterfaceTable {
  readonly #database: DatabaseSync;
  readonly #owner: StatementSync;
  readonly #insert: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#owner = database.prepare("SELECT namespace FROM interface_owner WHERE name = ?");
    this.#insert = database.prepare("INSERT INTO interface_owner (name, namespace, since_ms) VALUES (?, ?, ?)");
  }

  /** All owners, by name. */
  list(): readonly InterfaceOwner[] {
    return this.#database
      .prepare("SELECT name, namespace, since_ms FROM interface_owner ORDER BY name")
      .all()
      .map((row) => ({
        name: String(row["name"]),
        namespace: String(row["namespace"]),
        sinceMs: Number(row["since_ms"]),
      }));
  }

  owner(name: string): string | undefined {
    const row = this.#owner.get(name);
    return row === undefined ? undefined : String(row["namespace"]);
  }

  /** How many names `namespace` owns. */
  count(namespace: string): number {
    const row = this.#database
      .prepare("SELECT count(*) AS owned FROM interface_owner WHERE namespace = ?")
      .get(namespace);
    return Number(row?.["owned"]);
  }

  /** Gives `names` that nobody owns to `namespace`, in one transaction. */
  claim(names: readonly string[], namespace: string, nowMs: number): void {
    if (names.length === 0) return;
    transaction(this.#database, () => {
      for (const name of names) if (this.owner(name) === undefined) this.#insert.run(name, namespace, nowMs);
    });
  }
}
