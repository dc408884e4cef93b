import type { OnReadOpts } from "node:net";

const bufferBytes = 64 * 1024;
// Elsewhere a socket reads into the buffer and calls back in one go; Windows takes the buffer when the read begins.
const isShared = process.platform !== "win32";
let shared: Buffer | undefined;

function readBuffer(): Buffer {
  if (!isShared) return Buffer.allocUnsafeSlow(bufferBytes);
  shared ??= Buffer.allocUnsafeSlow(bufferBytes);
  return shared;
}

/**
 * Lets a plain socket read into one buffer that all such sockets share, where it would allocate 64 KiB a read.
 *
 * Give `onread` to `net.connect`, and the reader to the connection (`Http2Options.reader`). What arrives before is kept.
 */
export class SocketReader {
  readonly onread: OnReadOpts;
  #receive: ((chunk: Buffer) => void) | undefined;
  #early: Buffer[] = [];

  constructor() {
    const buffer = readBuffer();
    this.onread = {
      buffer,
      callback: (bytes) => {
        const chunk = buffer.subarray(0, bytes);
        if (this.#receive === undefined) this.#early.push(Buffer.from(chunk));
        else this.#receive(chunk);
        return true;
      },
    };
  }

  /** Where bytes go from now on; they are valid during the call only. */
  attach(receive: (chunk: Buffer) => void): void {
    this.#receive = receive;
    const early = this.#early;
    this.#early = [];
    for (const chunk of early) receive(chunk);
  }
}
