import type { MessageCodec } from "./service-definition.ts";

/** What a codec writes into; ts-proto's codecs take one as their second argument, and make one where there is none. */
interface Writer {
  finish(): Uint8Array;
}

/** A writer that wrote more than this isn't kept: its buffer would stay as large. */
const mostKeptBytes = 64 * 1024;

/**
 * The bytes of messages of `type`: each written with the writer of the one before, where that can be used again.
 *
 * A writer is the codec's own (this package doesn't know which library it is of) and grows its buffer from nothing each
 * time it is new, which is a good part of what encoding a small message takes.
 */
export function messageEncoder<Message>(type: MessageCodec<Message>): (message: Message) => Uint8Array {
  const encode = type.encode as (message: Message, writer?: Writer) => Writer;
  let kept: Writer | undefined;
  let canBeKept: boolean | undefined;
  return (message) => {
    const writer = kept;
    // It is whole again only where nothing throws.
    kept = undefined;
    const used = encode.call(type, message, writer);
    const bytes = used.finish();
    // One that doesn't begin anew after `finish` still has its bytes; an empty message doesn't tell.
    if (canBeKept === undefined && bytes.length > 0) canBeKept = used.finish().length === 0;
    if (canBeKept === true && bytes.length <= mostKeptBytes) kept = used;
    return bytes;
  };
}
