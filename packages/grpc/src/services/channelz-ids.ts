const ids = new WeakMap<object, bigint>();
let last = 0n;

/** The number of `entity` in this process, the same each time; one that is asked for later gets a larger one. */
export function idOf(entity: object): bigint {
  let id = ids.get(entity);
  if (id === undefined) {
    id = ++last;
    ids.set(entity, id);
  }
  return id;
}

/** The one of `entities` whose number is `id`. */
export function withId<Entity extends object>(entities: Iterable<Entity>, id: bigint): Entity | undefined {
  for (const entity of entities) if (ids.get(entity) === id) return entity;
  return undefined;
}

/** As many of `entities` as a page takes, by number from `start` on, and whether these are the last. */
export function pageOf<Entity extends object>(
  entities: readonly Entity[],
  start: bigint,
  size: number,
): { readonly page: readonly Entity[]; readonly end: boolean } {
  const rest = entities.filter((entity) => idOf(entity) >= start).sort((one, other) => Number(idOf(one) - idOf(other)));
  return { page: rest.slice(0, size), end: rest.length <= size };
}
