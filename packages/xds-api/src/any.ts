import type { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import type { Any } from "./gen/google/protobuf/any.ts";

/** The codec object that the generator makes for each message. */
export interface MessageType<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
  decode(input: BinaryReader | Uint8Array, length?: number): T;
}

const empty = new Uint8Array(0);

/** A message with `fields` set and everything else at its proto3 default (made by decoding nothing). */
export function message<T extends object>(type: MessageType<T>, fields: Partial<T>): T {
  return Object.assign(type.decode(empty), fields);
}

/** `value` as an Any; fields are written in number order, so equal values give equal bytes (maps in insertion order). */
export function pack<T>(typeUrl: string, type: MessageType<T>, value: T): Any {
  return { typeUrl, value: type.encode(value).finish() as Any["value"] };
}

/**
 * The message inside `any`, or undefined where it is of another type.
 *
 * Throws what the decoder throws on malformed bytes.
 */
export function unpack<T>(any: Any, typeUrl: string, type: MessageType<T>): T | undefined {
  return any.typeUrl === typeUrl ? type.decode(any.value) : undefined;
}
