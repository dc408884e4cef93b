// The floor: length-prefixed messages on a plain socket, answered in order, one write per tick on either side.

import type { AddressInfo } from "node:net";
import { connect, createServer, type Socket } from "node:net";
import { payload } from "../service.ts";
import type { Stack } from "../stack.ts";

const prefixBytes = 4;
const slabBytes = 65_536;

/** Messages that go out together at the end of the tick. */
class TickWriter {
  private readonly socket: Socket;
  private slab = Buffer.allocUnsafeSlow(slabBytes);
  private length = 0;
  private readonly flush = (): void => {
    const slab = this.slab;
    this.socket.write(slab.subarray(0, this.length));
    // The socket may hold the slab until the system has taken it.
    this.slab = Buffer.allocUnsafeSlow(slabBytes);
    this.length = 0;
  };

  constructor(socket: Socket) {
    this.socket = socket;
  }

  write(source: Buffer, start: number, end: number): void {
    const bytes = end - start;
    if (this.length + prefixBytes + bytes > slabBytes) this.flush();
    if (this.length === 0) process.nextTick(this.flushUnlessEmpty);
    this.slab.writeUInt32BE(bytes, this.length);
    source.copy(this.slab, this.length + prefixBytes, start, end);
    this.length += prefixBytes + bytes;
  }

  private readonly flushUnlessEmpty = (): void => {
    if (this.length > 0) this.flush();
  };
}

/** Calls `onMessage` for each whole message of the socket. */
function readMessages(socket: Socket, onMessage: (chunk: Buffer, start: number, end: number) => void): void {
  let rest: Buffer | undefined;
  socket.on("data", (data: Buffer) => {
    const chunk = rest === undefined ? data : Buffer.concat([rest, data]);
    let at = 0;
    while (at + prefixBytes <= chunk.length) {
      const end = at + prefixBytes + chunk.readUInt32BE(at);
      if (end > chunk.length) break;
      onMessage(chunk, at + prefixBytes, end);
      at = end;
    }
    rest = at === chunk.length ? undefined : chunk.subarray(at);
  });
}

function unsupported(): never {
  throw new Error("the raw pair only has unary calls");
}

export const raw: Stack = {
  serve() {
    const server = createServer({ noDelay: true }, (socket) => {
      const writer = new TickWriter(socket);
      readMessages(socket, (chunk, start, end) => writer.write(chunk, start, end));
      socket.on("error", () => socket.destroy());
    });
    return new Promise((resolve) => {
      server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
    });
  },

  connect({ port, bytes }) {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    const message = payload(bytes);
    const writer = new TickWriter(socket);
    const waiting: (() => void)[] = [];
    let answered = 0;
    readMessages(socket, () => {
      const onReply = waiting[answered++];
      if (answered >= 1024) {
        waiting.splice(0, answered);
        answered = 0;
      }
      onReply?.();
    });
    return {
      call(onReply, onError) {
        if (socket.destroyed) onError(new Error("the raw socket is closed"));
        waiting.push(onReply);
        writer.write(message, 0, message.length);
      },
      stream: unsupported,
      pingPong: unsupported,
    };
  },
};
