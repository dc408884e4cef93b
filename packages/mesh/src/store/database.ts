import { chmodSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { migrate, newestVersion, readVersion } from "./schema.ts";

/** Why a data directory can't be used, in words for the one who started the program. */
export interface DatabaseProblem {
  readonly kind: "locked" | "corrupt" | "newer" | "exposed" | "inaccessible";
  readonly path: string;
  readonly message: string;
  readonly hint?: string;
}

/** The store could not do what it was asked to: disk full, file gone, file damaged. Nothing of that write was kept. */
export class StoreError extends Error {
  override readonly name = "StoreError";
}

/** The database's file name under the data directory. */
export const databaseFileName = "weft.db";

// Tells our file from any other program's SQLite file: "weft" in ASCII.
const applicationId = 0x77656674;

/** How long opening waits for a holder that is just ending (a killed process keeps its locks until the kernel is done with it). */
const lockWaitMs = 1_000;

/**
 * Opens (or makes) the database of a data directory, and holds it until it is closed or the process ends, however it ends.
 *
 * The lock is SQLite's own lock on the file (`locking_mode=EXCLUSIVE`), which the kernel drops with the process, so there is
 * no stale lock to clean up after a kill. The pid beside it only serves the message to whoever comes second.
 * Durable: WAL with synchronous=FULL, a commit has reached the disk when it returns.
 */
export function openDatabase(directory: string): DatabaseSync | DatabaseProblem {
  const path = join(directory, databaseFileName);
  const exposed = prepareDirectory(directory, path);
  if (exposed !== undefined) return exposed;
  let database: DatabaseSync | undefined;
  try {
    // Made by us before SQLite sees it, so that it never exists with wider permissions; WAL files take over its mode.
    closeSync(openSync(path, "a", 0o600));
    chmodSync(path, 0o600);
    database = new DatabaseSync(path, { timeout: lockWaitMs, enableForeignKeyConstraints: true });
    database.exec("PRAGMA locking_mode=EXCLUSIVE");
    database.exec("PRAGMA journal_mode=WAL");
    database.exec("PRAGMA synchronous=FULL");
    database.exec("BEGIN EXCLUSIVE; COMMIT");
    const problem = check(database, path);
    if (problem !== undefined) {
      database.close();
      return problem;
    }
    writeFileSync(pidPath(directory), `${process.pid}\n`, { mode: 0o600 });
    return database;
  } catch (error) {
    database?.close();
    return explain(error, directory, path);
  }
}

/** Runs `work` in one transaction: all of its writes are kept and on disk, or none. */
export function transaction<T>(database: DatabaseSync, work: () => T): T {
  try {
    database.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      // SQLite has already rolled back by itself after some errors (disk full), and a second ROLLBACK would hide the first error.
      if (database.isTransaction) database.exec("ROLLBACK");
      throw error;
    }
  } catch (error) {
    if (sqliteCode(error) === undefined) throw error;
    throw new StoreError(`the store could not be written: ${(error as Error).message}`, { cause: error });
  }
}

function prepareDirectory(directory: string, path: string): DatabaseProblem | undefined {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if ((statSync(directory).mode & 0o077) === 0) return undefined;
    // An empty directory is ours to close; one that somebody keeps other things in is not.
    if (readdirSync(directory).length === 0) {
      chmodSync(directory, 0o700);
      return undefined;
    }
    return {
      kind: "exposed",
      path: directory,
      message: `the data directory ${directory} can be read by other users, and keys and tokens are kept there`,
      hint: `chmod 700 ${directory}`,
    };
  } catch (error) {
    return explain(error, directory, path);
  }
}

function check(database: DatabaseSync, path: string): DatabaseProblem | undefined {
  const [verdict] = database.prepare("PRAGMA quick_check(1)").all();
  if (verdict?.["quick_check"] !== "ok") return corrupt(path, String(verdict?.["quick_check"]));
  const version = readVersion(database);
  const owner = Number(database.prepare("PRAGMA application_id").get()?.["application_id"]);
  const isEmpty = database.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
  if (owner !== applicationId && !(isEmpty && version === 0)) return corrupt(path, "it was written by another program");
  if (version > newestVersion) {
    return {
      kind: "newer",
      path,
      message: `${path} was written by a newer weft (store version ${version}, this one knows ${newestVersion})`,
      hint: "start the newer version, or another --data directory",
    };
  }
  transaction(database, () => {
    database.exec(`PRAGMA application_id=${applicationId}`);
    migrate(database);
  });
  return undefined;
}

function explain(error: unknown, directory: string, path: string): DatabaseProblem {
  const message = error instanceof Error ? error.message : String(error);
  const code = sqliteCode(error);
  if (code === sqlite.busy || code === sqlite.locked) {
    const pid = holder(directory);
    return {
      kind: "locked",
      path: directory,
      message: `the data directory ${directory} is in use by ${pid === undefined ? "another process" : `process ${pid}`}`,
      hint: "stop that one first, or give this one another --data directory",
    };
  }
  if (code === sqlite.corrupt || code === sqlite.notADatabase) return corrupt(path, message);
  return {
    kind: "inaccessible",
    path: directory,
    message: `the data directory ${directory} can't be used: ${message}`,
    hint: "give a directory that this user may write with --data",
  };
}

function corrupt(path: string, reason: string): DatabaseProblem {
  return {
    kind: "corrupt",
    path,
    message: `the store ${path} is damaged: ${reason}`,
    hint: `restore it from a backup, or move ${path} (and its -wal file) away to start with an empty one`,
  };
}

function holder(directory: string): number | undefined {
  try {
    const pid = Number(readFileSync(pidPath(directory), "utf8").trim());
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    // The holder may be between taking the lock and writing its pid; the message then goes without it.
    return undefined;
  }
}

function pidPath(directory: string): string {
  return join(directory, "weft.pid");
}

const sqlite = { busy: 5, locked: 6, corrupt: 11, notADatabase: 26 } as const;

/** SQLite's primary result code, or undefined where the error isn't SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error)) return undefined;
  // Extended codes carry the primary one in their low byte.
  return Number(error.errcode) & 0xff;
}
