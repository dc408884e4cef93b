import { createHash } from "node:crypto";
import { Any } from "@weft/xds-api/google/protobuf/any";
import type { Resource, ResourceChanged, ResourceSource, ResourceWatch } from "../resource-source.ts";

/** One step of a source's content: text, or undefined to remove the name. */
export type Change = readonly [typeUrl: string, name: string, text: string | undefined];

/** A resource whose Any holds `text`. */
export function textResource(typeUrl: string, name: string, text: string): Resource {
  const any = Any.encode({ typeUrl, value: Buffer.from(text) }).finish();
  return { name, any, hash: createHash("sha256").update(any).digest("hex").slice(0, 16) };
}

/** A source of texts that tests set by hand; it also counts who is interested in what. */
export class MemorySource implements ResourceSource<string> {
  readonly #resources = new Map<string, Resource>();
  readonly #views = new Set<MemoryWatch>();

  /** Applies all changes, then announces them. */
  update(...changes: readonly Change[]): void {
    const before = new Map(this.#resources);
    for (const [typeUrl, name, text] of changes) {
      if (text === undefined) this.#resources.delete(`${typeUrl} ${name}`);
      else this.#resources.set(`${typeUrl} ${name}`, textResource(typeUrl, name, text));
    }
    for (const [typeUrl, name] of changes) {
      const key = `${typeUrl} ${name}`;
      if (before.get(key)?.hash === this.#resources.get(key)?.hash) continue;
      const isListed = before.has(key) !== this.#resources.has(key);
      for (const view of this.#views) view.announce(typeUrl, name, isListed);
    }
  }

  watch(_audience: string, changed: ResourceChanged): ResourceWatch {
    const view = new MemoryWatch(this.#resources, changed, () => this.#views.delete(view));
    this.#views.add(view);
    return view;
  }

  get(typeUrl: string, name: string): Resource | undefined {
    return this.#resources.get(`${typeUrl} ${name}`);
  }

  /** How many open views subscribe to `name`. */
  interest(typeUrl: string, name: string): number {
    return [...this.#views].filter((view) => view.subscribed.has(`${typeUrl} ${name}`)).length;
  }

  get openViews(): number {
    return this.#views.size;
  }
}

class MemoryWatch implements ResourceWatch {
  readonly subscribed = new Set<string>();
  readonly #listed = new Set<string>();
  readonly #resources: ReadonlyMap<string, Resource>;
  readonly #changed: ResourceChanged;
  readonly close: () => void;

  constructor(resources: ReadonlyMap<string, Resource>, changed: ResourceChanged, close: () => void) {
    this.#resources = resources;
    this.#changed = changed;
    this.close = close;
  }

  announce(typeUrl: string, name: string, isListed: boolean): void {
    if (this.subscribed.has(`${typeUrl} ${name}`)) this.#changed(typeUrl, name);
    if (isListed && this.#listed.has(typeUrl)) this.#changed(typeUrl, undefined);
  }

  subscribe(typeUrl: string, name: string): void {
    this.subscribed.add(`${typeUrl} ${name}`);
  }

  unsubscribe(typeUrl: string, name: string): void {
    this.subscribed.delete(`${typeUrl} ${name}`);
  }

  get(typeUrl: string, name: string): Resource | undefined {
    return this.subscribed.has(`${typeUrl} ${name}`) ? this.#resources.get(`${typeUrl} ${name}`) : undefined;
  }

  list(typeUrl: string): readonly string[] {
    this.#listed.add(typeUrl);
    return [...this.#resources.keys()]
      .filter((key) => key.startsWith(`${typeUrl} `))
      .map((key) => key.slice(typeUrl.length + 1));
  }
}
