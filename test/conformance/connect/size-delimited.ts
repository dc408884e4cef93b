// How the suite's runner and the programs under test talk: messages on stdin and stdout, each after its length in 4 bytes, big-endian.
import { type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** The messages that come on stdin. */
export async function* readMessages<Desc extends DescMessage>(desc: Desc): AsyncGenerator<MessageShape<Desc>> {
  let buffered: Buffer = Buffer.alloc(0);
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    buffered = Buffer.concat([buffered, chunk]);
    while (buffered.length >= 4 && buffered.length >= 4 + buffered.readUInt32BE(0)) {
      const end = 4 + buffered.readUInt32BE(0);
      yield fromBinary(desc, new Uint8Array(buffered.subarray(4, end)));
      buffered = buffered.subarray(end);
    }
  }
}

/** Writes one message to stdout. */
export function writeMessage<Desc extends DescMessage>(desc: Desc, message: MessageShape<Desc>): void {
  const bytes = toBinary(desc, message);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  process.stdout.write(Buffer.concat([length, bytes]));
}
