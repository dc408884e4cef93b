import { createHash } from "node:crypto";
import type { MessageType, TypeUrl } from "@weft/xds-api";
import { Any } from "@weft/xds-api/google/protobuf/any";
import type { Resource } from "../discovery/resource-source.ts";
import type { MeshReader } from "../model/mesh-reader.ts";
import type { MeshSnapshot } from "../model/snapshot.ts";

/** One resource by its type and name. */
export interface ResourceId {
  readonly typeUrl: TypeUrl;
  readonly name: string;
}

/** A translation that is ready to be sent, and what must be answerable before it replaces an older one. */
export interface Translation {
  readonly resource: Resource;
  readonly requires: readonly ResourceId[];
}

/** Makes the resource of one name, or undefined where there is none. Pure: whatever it uses of the mesh, it reads through `reader`. */
export type Translator<Audience> = (reader: MeshReader, audience: Audience, name: string) => Translation | undefined;

/** What a catalog serves, and to whom it looks the same. */
export interface Translators<Audience> {
  readonly byType: Readonly<Record<TypeUrl, Translator<Audience>>>;
  /** What of an audience the answer depends on: audiences with equal keys share one translation. */
  readonly audienceKey: (audience: Audience, typeUrl: TypeUrl, name: string) => string;
  /** All names of a type, for wildcard subscribers; without it they see none. */
  readonly list?: (mesh: MeshSnapshot, audience: Audience, typeUrl: TypeUrl) => readonly string[];
}

/** A translator from one that makes messages: encodes what it makes, once, and hashes it. */
export function encoding<Audience, Message>(
  typeUrl: TypeUrl,
  type: MessageType<Message>,
  translate: (reader: MeshReader, audience: Audience, name: string) => Message | undefined,
  requires: (message: Message) => readonly ResourceId[] = () => [],
): Translator<Audience> {
  return (reader, audience, name) => {
    const message = translate(reader, audience, name);
    if (message === undefined) return undefined;
    const value = Buffer.from(type.encode(message).finish());
    const any = Any.encode({ typeUrl, value }).finish();
    const hash = createHash("sha256").update(any).digest("hex").slice(0, 32);
    return { resource: { name, any, hash }, requires: requires(message) };
  };
}
