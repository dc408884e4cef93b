import type { DatabaseSync } from "node:sqlite";
import type { Clock } from "@weft/grpc/platform";
import { AuditLog } from "./audit.ts";
import { type DatabaseProblem, openDatabase } from "./database.ts";
import { LastGoodTable } from "./last-good.ts";
import { InterfaceTable, RegistrationTable } from "./registrations.ts";
import { ResourceTable } from "./resources.ts";
import { TokenTable } from "./tokens.ts";

/** What became of opening a store: one that is ours until closed, or the reason in words. */
export type OpenedStore =
  | { readonly kind: "open"; readonly store: Store }
  | { readonly kind: "refused"; readonly problem: DatabaseProblem };

/**
 * Opens the durable store of a data directory, making it where there is none.
 *
 * One process holds a store at a time. Synchronous throughout: a write is on disk when its call returns, and there is
 * no order of events in which a reader sees half of a batch.
 */
export function openStore(options: { readonly directory: string; readonly clock: Clock }): OpenedStore {
  const opened = openDatabase(options.directory);
  if ("kind" in opened) return { kind: "refused", problem: opened };
  return { kind: "open", store: new Store(opened, options.directory, options.clock) };
}

/** The durable half of a control plane: what was applied, who may join, who is registered, who owns which name, who did what. */
export class Store {
  readonly directory: string;
  readonly resources: ResourceTable;
  readonly lastGood: LastGoodTable;
  readonly tokens: TokenTable;
  readonly registrations: RegistrationTable;
  readonly interfaces: InterfaceTable;
  readonly audit: AuditLog;
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync, directory: string, clock: Clock) {
    this.#database = database;
    this.directory = directory;
    this.resources = new ResourceTable(database, clock);
    this.lastGood = new LastGoodTable(database);
    this.tokens = new TokenTable(database);
    this.registrations = new RegistrationTable(database);
    this.interfaces = new InterfaceTable(database);
    this.audit = new AuditLog(database);
  }

  /** Gives the data directory back. Idempotent; nothing is lost without it. */
  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
