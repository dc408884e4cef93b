// Two ends of a connection and all that is between them: bytes wait until told to arrive.
import { Duplex } from "node:stream";
import { FrameType, readUint31, readUint32, Setting } from "../frame.ts";
import { FrameReader, type FrameSink } from "../frame-reader.ts";

/** What a sender may send by the windows that its peer has opened, as anybody between the two can tell. */
export class WindowLedger {
  connection = 65_535;
  initial = 65_535;
  /** What was sent beyond the windows. */
  excess = 0;
  readonly #streams = new Map<number, number>();

  sent(id: number, bytes: number): void {
    this.connection -= bytes;
    const left = (this.#streams.get(id) ?? 0) - bytes;
    this.#streams.set(id, left);
    if (bytes > 0) this.excess = Math.max(this.excess, -this.connection, -(this.initial + left));
  }

  opened(id: number, bytes: number): void {
    if (id === 0) this.connection += bytes;
    else this.#streams.set(id, (this.#streams.get(id) ?? 0) + bytes);
  }
}

const ignore = {
  onFrameHead: () => true,
  onDataPiece: () => undefined,
  onBadPadding: () => undefined,
  onDataHead: () => undefined,
  onFrame: () => undefined,
} satisfies FrameSink;

/** Bytes on their way in one direction. */
export class Direction {
  readonly ledger = new WindowLedger();
  waiting: Buffer = Buffer.alloc(0);
  readonly #out: FrameReader;
  readonly #in: FrameReader;
  #skip: number;
  #skipIn: number;

  /** `back` is the ledger of those who receive here; a client's preface comes before its frames. */
  constructor(back: () => WindowLedger, prefaceBytes: number) {
    this.#skip = prefaceBytes;
    this.#skipIn = prefaceBytes;
    this.#out = new FrameReader({ ...ignore, onDataHead: (_, id, length) => this.ledger.sent(id, length) });
    this.#in = new FrameReader({
      ...ignore,
      onFrame: (type, flags, id, bytes, start, end) => {
        if (type === FrameType.windowUpdate) back().opened(id, readUint31(bytes, start));
        if (type !== FrameType.settings || flags !== 0) return;
        for (let at = start; at < end; at += 6) {
          if (bytes.readUInt16BE(at) === Setting.initialWindowSize) back().initial = readUint32(bytes, at + 2);
        }
      },
    });
  }

  add(chunk: Buffer): void {
    const skipped = Math.min(this.#skip, chunk.length);
    this.#skip -= skipped;
    this.#out.feed(chunk, skipped);
    this.waiting = Buffer.concat([this.waiting, chunk]);
  }

  /** Takes up to `bytes` that arrive now. */
  take(bytes: number): Buffer {
    const chunk = this.waiting.subarray(0, bytes);
    this.waiting = this.waiting.subarray(chunk.length);
    const skipped = Math.min(this.#skipIn, chunk.length);
    this.#skipIn -= skipped;
    this.#in.feed(chunk, skipped);
    return chunk;
  }
}

export class Wire {
  readonly toServer = new Direction(() => this.toClient.ledger, 24);
  readonly toClient: Direction = new Direction(() => this.toServer.ledger, 0);
  readonly client = this.#end(this.toServer);
  readonly server = this.#end(this.toClient);

  /** Lets up to `bytes` arrive in each direction. */
  deliver(toServer: number, toClient: number): void {
    const up = this.toServer.take(toServer);
    if (up.length > 0) this.server.push(up);
    const down = this.toClient.take(toClient);
    if (down.length > 0) this.client.push(down);
  }

  get isQuiet(): boolean {
    return this.toServer.waiting.length === 0 && this.toClient.waiting.length === 0;
  }

  #end(out: Direction): Duplex {
    return new Duplex({
      read: () => undefined,
      write: (chunk: Buffer, _, done) => {
        out.add(Buffer.from(chunk));
        done();
      },
    });
  }
}
