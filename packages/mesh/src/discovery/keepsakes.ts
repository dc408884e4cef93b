import type { Resource } from "./resource-source.ts";

/** What a client had of one name when its stream ended; `isAccepted` where it said so. */
export interface Keepsake {
  readonly resource: Resource;
  readonly isAccepted: boolean;
}

/**
 * What clients had when their streams ended, so that a client that comes back finds its clusters still answered
 * that were removed meanwhile, and its last good bytes behind what it refused.
 *
 * Bounded by age and by number of clients; losing one costs that client only what a fresh start would.
 */
export class Keepsakes {
  readonly #clients = new Map<string, { readonly resources: Map<string, Keepsake>; expiresAtMs: number }>();
  readonly #lifetimeMs: number;
  readonly #maxClients: number;

  constructor(lifetimeMs = 5 * 60_000, maxClients = 2_000) {
    this.#lifetimeMs = lifetimeMs;
    this.#maxClients = maxClients;
  }

  keep(client: string, byType: ReadonlyMap<string, readonly Keepsake[]>, nowMs: number): void {
    const resources = this.#clients.get(client)?.resources ?? new Map<string, Keepsake>();
    for (const [typeUrl, kept] of byType) {
      for (const keepsake of kept) resources.set(key(typeUrl, keepsake.resource.name), keepsake);
    }
    this.#clients.delete(client);
    if (resources.size > 0) this.#clients.set(client, { resources, expiresAtMs: nowMs + this.#lifetimeMs });
    for (const [oldest, { expiresAtMs }] of this.#clients) {
      if (expiresAtMs > nowMs && this.#clients.size <= this.#maxClients) break;
      this.#clients.delete(oldest);
    }
  }

  find(client: string, typeUrl: string, name: string, nowMs: number): Keepsake | undefined {
    const kept = this.#clients.get(client);
    return kept === undefined || kept.expiresAtMs <= nowMs ? undefined : kept.resources.get(key(typeUrl, name));
  }
}

function key(typeUrl: string, name: string): string {
  return `${typeUrl} ${name}`;
}
