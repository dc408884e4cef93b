import type { ResourceChanged, ResourceWatch } from "../discovery/resource-source.ts";
import type { CatalogEntry, EntrySubscriber } from "./entry.ts";

/** What a view needs of its catalog; whom it reads for, the catalog knows. */
export interface ViewOwner<Audience> {
  /** The entry of a name, translated; undefined for types that are not served. The view adds itself to its subscribers. */
  entry(typeUrl: string, name: string): CatalogEntry<Audience> | undefined;
  /** Drops the entry if nobody needs it any more. */
  release(entry: CatalogEntry<Audience>): void;
  list(typeUrl: string): readonly string[];
  closed(): void;
}

/** One reader's view of a catalog. */
export class CatalogView<Audience> implements ResourceWatch, EntrySubscriber {
  readonly changed: ResourceChanged;
  readonly #owner: ViewOwner<Audience>;
  readonly #types = new Map<string, Map<string, CatalogEntry<Audience>>>();
  readonly #lists = new Map<string, readonly string[]>();

  constructor(owner: ViewOwner<Audience>, changed: ResourceChanged) {
    this.#owner = owner;
    this.changed = changed;
  }

  subscribe(typeUrl: string, name: string): void {
    let names = this.#types.get(typeUrl);
    if (names?.has(name) === true) return;
    const entry = this.#owner.entry(typeUrl, name);
    if (entry === undefined) return;
    entry.subscribers.add(this);
    if (names === undefined) {
      names = new Map();
      this.#types.set(typeUrl, names);
    }
    names.set(name, entry);
  }

  unsubscribe(typeUrl: string, name: string): void {
    const names = this.#types.get(typeUrl);
    const entry = names?.get(name);
    if (entry === undefined) return;
    names?.delete(name);
    entry.subscribers.delete(this);
    this.#owner.release(entry);
  }

  get(typeUrl: string, name: string): ReturnType<ResourceWatch["get"]> {
    return this.#types.get(typeUrl)?.get(name)?.published;
  }

  list(typeUrl: string): readonly string[] {
    let names = this.#lists.get(typeUrl);
    if (names === undefined) {
      names = this.#owner.list(typeUrl);
      this.#lists.set(typeUrl, names);
    }
    return names;
  }

  /** Lists anew what was listed before; returns the types whose names are others now. */
  relist(): readonly string[] {
    return [...this.#lists].flatMap(([typeUrl, before]) => {
      const after = this.#owner.list(typeUrl);
      this.#lists.set(typeUrl, after);
      const isSame = before.length === after.length && before.every((name, at) => name === after[at]);
      return isSame ? [] : [typeUrl];
    });
  }

  close(): void {
    for (const [typeUrl, names] of this.#types) {
      for (const name of [...names.keys()]) this.unsubscribe(typeUrl, name);
    }
    this.#lists.clear();
    this.#owner.closed();
  }
}
