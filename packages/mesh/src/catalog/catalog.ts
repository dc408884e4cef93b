/**
 * What discovery serves: the mesh's snapshot, translated for whoever subscribes.
 *
 *   update(snapshot) → changed keys → entries that read them → translate → equal bytes? stop
 *                                                                 └ else → everyone subscribed to that entry
 */
import type { TypeUrl } from "@weft/xds-api";
import type { ResourceChanged, ResourceSource, ResourceWatch } from "../discovery/resource-source.ts";
import { changedKeys } from "../model/changed-keys.ts";
import type { MeshKey } from "../model/mesh-reader.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { CatalogView } from "./catalog-view.ts";
import { CatalogEntry } from "./entry.ts";
import type { ResourceId, Translator, Translators } from "./translators.ts";

/** A resource, a route as a rule, that leads to something which could not be answered. */
export interface Unanswerable extends ResourceId {
  readonly missing: readonly ResourceId[];
  /** Whether an older, complete form is served meanwhile. Otherwise this one is, incomplete: there was none before. */
  readonly servesOlder: boolean;
}

/** What an update looked at and changed. */
export interface UpdateOutcome {
  readonly changedKeys: number;
  readonly translated: number;
  /** Resources whose published bytes are others now. */
  readonly published: number;
}

/**
 * The ResourceSource over a mesh. It keeps entries for what is subscribed (and for what subscribed routes lead to),
 * remembers what each read of the mesh, and translates again only those that read something that changed.
 */
export class Catalog<Audience> implements ResourceSource<Audience> {
  readonly #translators: Translators<Audience>;
  #mesh: MeshSnapshot;
  readonly #entries = new Map<string, CatalogEntry<Audience>>();
  readonly #readers = new Map<MeshKey, Set<CatalogEntry<Audience>>>();
  readonly #views = new Set<CatalogView<Audience>>();

  constructor(mesh: MeshSnapshot, translators: Translators<Audience>) {
    this.#mesh = mesh;
    this.#translators = translators;
  }

  /** The snapshot that is served. */
  get mesh(): MeshSnapshot {
    return this.#mesh;
  }

  /** How many resources are kept translated. */
  get size(): number {
    return this.#entries.size;
  }

  watch(audience: Audience, changed: ResourceChanged): ResourceWatch {
    const view: CatalogView<Audience> = new CatalogView(
      {
        entry: (typeUrl, name) => this.#entry(typeUrl, name, audience),
        release: (entry) => this.#release(entry),
        list: (typeUrl) => this.#translators.list?.(this.#mesh, audience, typeUrl as TypeUrl) ?? [],
        closed: () => this.#views.delete(view),
      },
      changed,
    );
    this.#views.add(view);
    return view;
  }

  /**
   * Serves `next` from now on; every view gives the new answers before the first reader is told.
   *
   * `keys` are those whose answers differ from the snapshot served so far, where the caller has them already.
   */
  update(next: MeshSnapshot, keys: ReadonlySet<MeshKey> = changedKeys(this.#mesh, next)): UpdateOutcome {
    const previous = this.#mesh;
    this.#mesh = next;
    const dirty = previous.settings === next.settings ? this.#readersOf(keys) : new Set(this.#entries.values());
    const toPublish = new Set(dirty);
    for (const entry of dirty) {
      // Another entry's translation may just have dropped it: it was only kept for that one.
      if (this.#entries.get(entry.key) !== entry) continue;
      const wasAnswerable = entry.isAnswerable;
      this.#translate(entry);
      if (wasAnswerable === entry.isAnswerable) continue;
      for (const dependent of entry.requiredBy) toPublish.add(dependent);
    }
    const published = [...toPublish].filter((entry) => this.#entries.get(entry.key) === entry && entry.publish());
    const relisted = [...this.#views].map((view) => [view, view.relist()] as const);
    for (const { subscribers, typeUrl, name } of published) {
      for (const subscriber of subscribers) subscriber.changed(typeUrl, name);
    }
    for (const [view, types] of relisted) for (const typeUrl of types) view.changed(typeUrl, undefined);
    return { changedKeys: keys.size, translated: dirty.size, published: published.length };
  }

  /** What is subscribed and can't be answered whole just now. */
  unanswerable(): Unanswerable[] {
    return [...this.#entries.values()].flatMap((entry) => {
      const { typeUrl, name, missing } = entry;
      if (missing.length === 0) return [];
      const ids = missing.map((required) => ({ typeUrl: required.typeUrl, name: required.name }));
      return [{ typeUrl, name, missing: ids, servesOlder: entry.isHeldBack }];
    });
  }

  #entry(typeUrl: string, name: string, audience: Audience): CatalogEntry<Audience> | undefined {
    const byType: Readonly<Record<string, Translator<Audience>>> = this.#translators.byType;
    const translate = Object.hasOwn(byType, typeUrl) ? byType[typeUrl] : undefined;
    if (translate === undefined) return undefined;
    const type = typeUrl as TypeUrl;
    const key = JSON.stringify([typeUrl, name, this.#translators.audienceKey(audience, type, name)]);
    const existing = this.#entries.get(key);
    if (existing !== undefined) return existing;
    const entry = new CatalogEntry(key, type, name, audience, translate);
    this.#entries.set(key, entry);
    this.#translate(entry);
    entry.publish();
    return entry;
  }

  #translate(entry: CatalogEntry<Audience>): void {
    for (const key of entry.reads) this.#forget(key, entry);
    const required = entry.translate(this.#mesh);
    for (const key of entry.reads) {
      const readers = this.#readers.get(key);
      if (readers === undefined) this.#readers.set(key, new Set([entry]));
      else readers.add(entry);
    }
    this.#require(entry, required);
  }

  /** Holds the entries that `entry` leads to, for as long as it does: they are answered at once when clients follow it. */
  #require(entry: CatalogEntry<Audience>, ids: readonly ResourceId[]): void {
    const before = entry.requires;
    entry.requires = ids.flatMap(({ typeUrl, name }) => this.#entry(typeUrl, name, entry.audience) ?? []);
    for (const required of entry.requires) required.requiredBy.add(entry);
    for (const required of before) {
      if (entry.requires.includes(required)) continue;
      required.requiredBy.delete(entry);
      this.#release(required);
    }
  }

  #release(entry: CatalogEntry<Audience>): void {
    if (entry.isNeeded) return;
    this.#entries.delete(entry.key);
    for (const key of entry.reads) this.#forget(key, entry);
    this.#require(entry, []);
  }

  #forget(key: MeshKey, entry: CatalogEntry<Audience>): void {
    const readers = this.#readers.get(key);
    readers?.delete(entry);
    if (readers?.size === 0) this.#readers.delete(key);
  }

  #readersOf(keys: ReadonlySet<MeshKey>): Set<CatalogEntry<Audience>> {
    const entries = new Set<CatalogEntry<Audience>>();
    for (const key of keys) for (const entry of this.#readers.get(key) ?? []) entries.add(entry);
    return entries;
  }
}
