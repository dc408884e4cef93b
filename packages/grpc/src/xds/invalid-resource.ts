/** A resource that must not be used; its message is what the control plane is told (and what calls fail with). */
export class InvalidResource extends Error {
  override readonly name = "InvalidResource";
}

/** Refuses the resource being parsed. */
export function invalid(reason: string): never {
  throw new InvalidResource(reason);
}

/** Runs `parse`; a refusal inside is told with `where` in front of it. */
export function within<T>(where: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof InvalidResource) throw new InvalidResource(`${where}: ${error.message}`);
    throw error;
  }
}

/** `text` in quotes, short enough for a reason whatever a peer sent. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
