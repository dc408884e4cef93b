import type { DatabaseSync, SQLOutputValue, StatementSync } from "node:sqlite";
import { transaction } from "./database.ts";

/** A join token as it is kept: found by the hash of its secret; the secret itself is nowhere. */
export interface StoredToken {
  readonly id: string;
  /** SHA-256 of the secret, in hex. */
  readonly secretHash: string;
  /** What the token allows, as JSON that its owner (authn/) gives meaning to. */
  readonly record: string;
}

/** The join tokens. */
export class TokenTable {
  readonly #database: DatabaseSync;
  readonly #byHash: StatementSync;
  readonly #byId: StatementSync;
  readonly #put: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#byHash = database.prepare("SELECT * FROM token WHERE secret_hash = ?");
    this.#byId = database.prepare("SELECT * FROM token WHERE id = ?");
    this.#put = database.prepare("INSERT OR REPLACE INTO token (id, secret_hash, record) VALUES (?, ?, ?)");
  }

  list(): readonly StoredToken[] {
    return this.#database.prepare("SELECT * FROM token ORDER BY id").all().map(tokenOf);
  }

  get(id: string): StoredToken | undefined {
    const row = this.#byId.get(id);
    return row === undefined ? undefined : tokenOf(row);
  }

  /** The token whose secret has this hash. Comparing hashes of 256 random bits gives nothing away by its timing. */
  findByHash(secretHash: string): StoredToken | undefined {
    const row = this.#byHash.get(secretHash);
    return row === undefined ? undefined : tokenOf(row);
  }

  /** Keeps `token`, new or changed; on disk when this returns. */
  put(token: StoredToken): void {
    transaction(this.#database, () => this.#put.run(token.id, token.secretHash, token.record));
  }

  /**
   * Replaces the record of a token by what `change` makes of it, in one transaction (so that the last use is used once);
   * undefined from `change` leaves it as it is. Returns whether something was kept.
   */
  update(id: string, change: (record: string) => string | undefined): boolean {
    return transaction(this.#database, () => {
      const token = this.get(id);
      const record = token === undefined ? undefined : change(token.record);
      if (token === undefined || record === undefined) return false;
      this.#put.run(token.id, token.secretHash, record);
      return true;
    });
  }

  /** Removes a token; false where there was none. */
  delete(id: string): boolean {
    return transaction(
      this.#database,
      () => this.#database.prepare("DELETE FROM token WHERE id = ?").run(id).changes > 0,
    );
  }
}

function tokenOf(row: Record<string, SQLOutputValue>): StoredToken {
  return { id: String(row["id"]), secretHash: String(row["secret_hash"]), record: String(row["record"]) };
}
