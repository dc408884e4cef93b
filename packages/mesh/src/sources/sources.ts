/**
 * What the mesh is told, from wherever it is told: files, store, registrations → one immutable snapshot.
 *   Directory ─┐
 *   Store ─────┼─ "something changed" ─► one rebuild per tick, from what there is now ─► MeshUpdate
 *   workloads ─┘
 *
 * Level-triggered: an event never carries content, so no order of events can lead anywhere but to where a fresh start leads.
 * Of documents that are wrong now, the last good versions are kept in the store for that reason.
 */

import type { Clock } from "@weft/grpc/platform";
import { changedKeys } from "../model/changed-keys.ts";
import { type Diagnostic, errorAbout } from "../model/diagnostic.ts";
import { defaultMeshSettings, type MeshSettings } from "../model/mesh-settings.ts";
import { parseDocuments } from "../model/parse.ts";
import { checkReferences } from "../model/references.ts";
import { type Resource, resourceKey } from "../model/resource.ts";
import { createSnapshot, type MeshSnapshot } from "../model/snapshot.ts";
import type { Workload } from "../model/workload.ts";
import { StoreError } from "../store/database.ts";
import type { ResourceKey } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { ApplyRequest, ChangeResult, MeshUpdate, ResourceView } from "./change.ts";
import { diagnosticsAbout, sameDiagnostics, sortedDiagnostics } from "./diagnostics.ts";
import { Directory } from "./directory.ts";
import { type FileDocuments, fileDocuments } from "./file-documents.ts";
import { type MergedResources, mergeResources } from "./merge.ts";
import { readLastGood, StoredDocuments, storeKey, writeFor } from "./stored-documents.ts";

export type { ApplyRequest, ChangeResult, MeshUpdate, ResourceView };

export interface SourcesOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Directories of YAML, read and watched, never written. */
  readonly directories: readonly string[];
  readonly settings?: MeshSettings;
  /** For documents without a namespace. Default `default`. */
  readonly defaultNamespace?: string;
}

/** Opens all sources; resolves when the first snapshot has everything that files and store hold. */
export async function openSources(options: SourcesOptions): Promise<Sources> {
  const sources = new Sources(options);
  await sources.refresh();
  return sources;
}

/** The one owner of what is configured. */
export class Sources implements AsyncDisposable {
  readonly #options: SourcesOptions;
  readonly #settings: MeshSettings;
  readonly #defaultNamespace: string;
  readonly #directories: readonly Directory[];
  readonly #stored: StoredDocuments;
  readonly #listeners = new Set<(update: MeshUpdate) => void>();
  #files: ReadonlyMap<string, FileDocuments>;
  /** What is kept on disk of `#files`, as text to compare. */
  #lastGood: string | undefined;
  #workloads: readonly Workload[] = [];
  #merged: MergedResources = { resources: [], origins: new Map(), diagnostics: [] };
  #isMergeStale = true;
  #snapshot: MeshSnapshot;
  #checked: MeshSnapshot["resources"] | undefined;
  #references: readonly Diagnostic[] = [];
  #diagnostics: readonly Diagnostic[] = [];
  #sequence = 0;
  #rebuilding: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.#settings = options.settings ?? defaultMeshSettings;
    this.#defaultNamespace = options.defaultNamespace ?? "default";
    this.#directories = [...new Set(options.directories)].map(
      (path) =>
        new Directory(path, options.clock, () => {
          this.#isMergeStale = true;
          // Nobody waits for a file's change; rebuilding never rejects.
          void this.#rebuilt();
        }),
    );
    this.#stored = new StoredDocuments(options.store.resources);
    this.#files = readLastGood(options.store.lastGood.list());
    this.#snapshot = createSnapshot({ resources: [], workloads: [], settings: this.#settings });
  }

  /** The newest snapshot. */
  get snapshot(): MeshSnapshot {
    return this.#snapshot;
  }

  /** Everything that is wrong now, in order of place. */
  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  /** Calls `listener` with every update, synchronously, from the next one on; the returned function stops it. */
  watch(listener: (update: MeshUpdate) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads every directory now; resolves when the snapshot has what was on disk at the time of the call. */
  async refresh(): Promise<void> {
    await Promise.all(this.#directories.map((directory) => directory.refresh()));
    await this.#rebuilt();
  }

  /** Takes the full set of live registrations; resolves when every listener has the snapshot with it. */
  setWorkloads(workloads: readonly Workload[]): Promise<void> {
    this.#workloads = workloads;
    return this.#rebuilt();
  }

  /** Applies every document of the texts to the store, or none where one has an error or belongs to a file. */
  async apply(request: ApplyRequest): Promise<ChangeResult> {
    const defaultNamespace = request.defaultNamespace ?? this.#defaultNamespace;
    const parsed = new Map(
      request.files.map(({ file, text }) => [file, parseDocuments(text, file, { defaultNamespace })]),
    );
    // Merging finds what two texts define; the store plays no part in whether a batch is well-formed.
    const batch = mergeResources(parsed, { resources: [], diagnostics: [] });
    const { resources } = batch;
    const owned = resources.flatMap((resource) => {
      const refused = this.#ownedByFile(resourceKey(resource), resource.origin.file);
      return refused === undefined ? [] : [{ ...refused, at: resource.origin.range }];
    });
    const diagnostics = sortedDiagnostics([...batch.diagnostics, ...owned]);
    if (diagnostics.some(({ severity }) => severity === "error")) return { kind: "refused", diagnostics };
    const table = this.#options.store.resources;
    const writes = resources.map(writeFor);
    if (request.dryRun === true) {
      const keys = new Set(resources.map(resourceKey));
      const others = this.#merged.resources.filter((resource) => !keys.has(resourceKey(resource)));
      const candidate = createSnapshot({
        resources: [...others, ...resources],
        workloads: [],
        settings: this.#settings,
      });
      const findings = diagnosticsAbout(resources, checkReferences(candidate.resources));
      const outcomes = table.preview(writes);
      return {
        kind: "applied",
        revision: table.revision(),
        outcomes,
        diagnostics: sortedDiagnostics([...diagnostics, ...findings]),
      };
    }
    const { revision, outcomes } = table.apply(writes);
    this.#isMergeStale = true;
    await this.#rebuilt();
    return {
      kind: "applied",
      revision,
      outcomes,
      diagnostics: sortedDiagnostics([...diagnostics, ...diagnosticsAbout(resources, this.#diagnostics)]),
    };
  }

  /** Deletes these resources from the store, or none where one isn't there or belongs to a file. */
  async delete(keys: readonly ResourceKey[]): Promise<ChangeResult> {
    const table = this.#options.store.resources;
    const diagnostics = keys.flatMap((key) => {
      const name = storeKey(key);
      const refused = this.#ownedByFile(name, name);
      if (refused !== undefined) return [refused];
      if (table.get(key) !== undefined) return [];
      return [errorAbout("WEFT0505", `there is no ${name}`, { file: name, hint: this.#elsewhere(key) })];
    });
    if (diagnostics.length > 0) return { kind: "refused", diagnostics };
    const { revision, outcomes } = table.delete(keys);
    this.#isMergeStale = true;
    await this.#rebuilt();
    return { kind: "applied", revision, outcomes, diagnostics: [] };
  }

  /** The resource in force under this key. */
  get(key: ResourceKey): ResourceView | undefined {
    const name = storeKey(key);
    const resource = this.#merged.resources.find((candidate) => resourceKey(candidate) === name);
    return resource === undefined ? undefined : this.#view(resource);
  }

  /** The resources in force, by kind, namespace and name. */
  list(
    filter: { readonly kind?: string | undefined; readonly namespace?: string | undefined } = {},
  ): readonly ResourceView[] {
    return this.#merged.resources
      .filter(({ kind }) => filter.kind === undefined || kind === filter.kind)
      .filter(({ namespace }) => filter.namespace === undefined || namespace === filter.namespace)
      .sort((a, b) => (resourceKey(a) < resourceKey(b) ? -1 : 1))
      .map((resource) => this.#view(resource));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#directories.map((directory) => directory.close()));
    this.#listeners.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Resolves after a rebuild that began after this call; everything that asks within one tick shares one. */
  #rebuilt(): Promise<void> {
    this.#rebuilding ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#rebuilding = undefined;
        if (!this.#isClosed) this.#rebuild();
        resolve();
      });
    });
    return this.#rebuilding;
  }

  #rebuild(): void {
    if (this.#isMergeStale) this.#merge();
    const { resources, diagnostics } = this.#merged;
    const previous = this.#snapshot;
    const snapshot = createSnapshot({ resources, workloads: this.#workloads, settings: this.#settings }, previous);
    const changed = changedKeys(previous, snapshot);
    const before = this.#diagnostics;
    // What resources say about each other depends on nothing but them.
    if (snapshot.resources !== this.#checked) this.#references = checkReferences(snapshot.resources);
    this.#checked = snapshot.resources;
    this.#diagnostics = sortedDiagnostics([...diagnostics, ...this.#references]);
    // No news: the old snapshot gives the same answers, and stays the one that listeners know.
    if (changed.size === 0 && sameDiagnostics(before, this.#diagnostics)) return;
    this.#snapshot = snapshot;
    this.#sequence++;
    const update = { snapshot, previous, changed, diagnostics: this.#diagnostics, sequence: this.#sequence };
    for (const listener of [...this.#listeners]) listener(update);
  }

  #merge(): void {
    this.#isMergeStale = false;
    const files = new Map<string, FileDocuments>();
    for (const { scan } of this.#directories) {
      for (const [path, { text }] of scan.files) {
        files.set(path, fileDocuments(path, text, this.#defaultNamespace, this.#files.get(path)));
      }
    }
    this.#files = files;
    this.#keepLastGood();
    const stored = this.#stored.read();
    const merged = mergeResources(files, {
      resources: stored.flatMap(({ resource }) => resource ?? []),
      diagnostics: stored.flatMap((document) => document.diagnostics),
    });
    const unreadable = this.#directories.flatMap(({ scan }) => scan.diagnostics);
    // The same array for the same resources: the snapshot's index is made once for each array.
    const known = this.#merged.resources;
    const isSame = known.length === merged.resources.length && known.every((each, at) => each === merged.resources[at]);
    const resources = isSame ? known : merged.resources;
    this.#merged = { ...merged, resources, diagnostics: [...unreadable, ...merged.diagnostics] };
  }

  #keepLastGood(): void {
    const documents = [...this.#files.values()].flatMap(({ kept }) => kept.map(writeFor));
    const known = JSON.stringify(documents);
    if (known === this.#lastGood) return;
    this.#lastGood = known;
    try {
      this.#options.store.lastGood.replace(documents);
    } catch (error) {
      // It only matters after a restart, and the mesh must go on now: a full disk is no reason to stop following files.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  #ownedByFile(key: string, about: string): Diagnostic | undefined {
    const origin = this.#merged.origins.get(key);
    if (origin?.kind !== "file") return undefined;
    const message = `${key} is defined in the file ${origin.file}, which takes precedence over the store`;
    return errorAbout("WEFT0506", message, { file: about, hint: `change ${origin.file} instead` });
  }

  #elsewhere(key: ResourceKey): string | undefined {
    const other = this.#merged.resources.find(({ kind, name }) => kind === key.kind && name === key.name);
    return other === undefined ? undefined : `there is one in namespace ${other.namespace}`;
  }

  #view(resource: Resource): ResourceView {
    const { kind, namespace, name, apiVersion } = resource;
    const origin = this.#merged.origins.get(resourceKey(resource)) ?? { kind: "store" };
    const stored = origin.kind === "store" ? this.#stored.get(resourceKey(resource))?.stored : undefined;
    return {
      kind,
      namespace,
      name,
      apiVersion,
      origin,
      text: stored?.text ?? resource.origin.text,
      generation: stored?.generation,
      updatedMs: stored?.updatedMs,
    };
  }
}
