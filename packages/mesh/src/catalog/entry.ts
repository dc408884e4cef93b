import type { TypeUrl } from "@weft/xds-api";
import type { Resource } from "../discovery/resource-source.ts";
import type { MeshKey, MeshReader } from "../model/mesh-reader.ts";
import { RecordingReader } from "../model/recording-reader.ts";
import type { ResourceId, Translation, Translator } from "./translators.ts";

/** Someone who is told when an entry's published form changes. */
export interface EntrySubscriber {
  changed(typeUrl: string, name: string | undefined): void;
}

/**
 * One resource as one kind of audience sees it: the newest translation, what it read, and what of it is published.
 *
 * The gate: a translation that leads to something that can't be answered does not replace one that was complete, so that
 * clients never follow a new route to a cluster that isn't there yet.
 */
export class CatalogEntry<Audience> {
  readonly key: string;
  readonly typeUrl: TypeUrl;
  readonly name: string;
  readonly subscribers = new Set<EntrySubscriber>();
  /** Entries whose publication looks at this one. */
  readonly requiredBy = new Set<CatalogEntry<Audience>>();
  /** What the newest translation leads to. */
  requires: readonly CatalogEntry<Audience>[] = [];
  reads: ReadonlySet<MeshKey> = new Set();
  readonly audience: Audience;
  readonly #translate: Translator<Audience>;
  #newest: Translation | undefined;
  #published: Resource | undefined;
  #wasComplete = false;

  constructor(key: string, typeUrl: TypeUrl, name: string, audience: Audience, translate: Translator<Audience>) {
    this.key = key;
    this.typeUrl = typeUrl;
    this.name = name;
    this.audience = audience;
    this.#translate = translate;
  }

  get published(): Resource | undefined {
    return this.#published;
  }

  get isAnswerable(): boolean {
    return this.#newest !== undefined;
  }

  get isNeeded(): boolean {
    return this.subscribers.size > 0 || this.requiredBy.size > 0;
  }

  /** Whether something older than the newest translation is published. */
  get isHeldBack(): boolean {
    return this.#newest !== undefined && this.#published?.hash !== this.#newest.resource.hash;
  }

  /** What the newest translation leads to and nobody could be answered. */
  get missing(): readonly ResourceId[] {
    return this.requires.filter((required) => !required.isAnswerable);
  }

  /** Translates anew and says what the result leads to; nothing is published yet. */
  translate(mesh: MeshReader): readonly ResourceId[] {
    const reader = new RecordingReader(mesh);
    this.#newest = this.#translate(reader, this.audience, this.name);
    this.reads = reader.keys;
    return this.#newest?.requires ?? [];
  }

  /** Publishes the newest translation if it may be; true where what is published changed. */
  publish(): boolean {
    const before = this.#published?.hash;
    const isComplete = this.missing.length === 0;
    if (this.#newest === undefined || isComplete || !this.#wasComplete) {
      this.#wasComplete = isComplete && this.#newest !== undefined;
      // Equal bytes keep the older object: streams compare hashes, and memory holds one copy.
      if (this.#newest?.resource.hash !== before) this.#published = this.#newest?.resource;
    }
    return this.#published?.hash !== before;
  }
}
