// A server and clients on the connection under test, over real sockets.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type ConnectionHandler, Http2Connection } from "../connection.ts";
import type { Http2Error } from "../error.ts";
import { type HeaderList, HeaderTemplate } from "../headers.ts";
import type { Http2Options } from "../options.ts";
import type { Http2Stream, StreamHandler } from "../stream.ts";

export const okHead = new HeaderTemplate([":status", "200", "content-type", "application/grpc"]);
export const okTrailers = new HeaderTemplate(["grpc-status", "0"]);
export const postHead = new HeaderTemplate([
  ":method",
  "POST",
  ":scheme",
  "http",
  ":path",
  "/echo",
  ":authority",
  "test",
]);
const empty = new Uint8Array(0);

/** Sends back what comes in, under the peer's flow control: what it couldn't send on yet it doesn't consume. */
class EchoStream implements StreamHandler {
  readonly #connection: Http2Connection;
  readonly #stream: Http2Stream;
  readonly #log: ServerLog;
  #held = 0;
  readonly #isSilent: boolean;
  #isBlocked = false;
  readonly #onFailed: (error: Http2Error) => void;

  constructor(
    connection: Http2Connection,
    stream: Http2Stream,
    log: ServerLog,
    onFailed: (error: Http2Error) => void,
    isSilent: boolean,
  ) {
    this.#isSilent = isSilent;
    this.#onFailed = onFailed;
    this.#connection = connection;
    this.#stream = stream;
    this.#log = log;
  }

  onHeaders(): void {
    this.#connection.sendHeaders(this.#stream, okTrailers, [], true);
  }

  onData(chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    if (this.#isSilent) return;
    if (end > start && !this.#connection.write(this.#stream, undefined, chunk.slice(start, end), false))
      this.#isBlocked = true;
    if (this.#isBlocked) this.#held += end - start;
    else this.#connection.consume(this.#stream, end - start);
    this.#log.mostQueued = Math.max(this.#log.mostQueued, this.#stream.queuedBytes);
    if (endStream) this.#connection.sendHeaders(this.#stream, okTrailers, [], true);
  }

  onWritable(): void {
    this.#isBlocked = false;
    this.#connection.consume(this.#stream, this.#held);
    this.#held = 0;
  }

  onClose(error: Http2Error | undefined): void {
    this.#log.streamsClosed += 1;
    if (error === undefined) return;
    this.#log.streamErrors.push(error);
    this.#onFailed(error);
  }
}

export interface ServerLog {
  readonly requests: HeaderList[];
  readonly streamErrors: Http2Error[];
  readonly connectionErrors: Http2Error[];
  readonly connections: Http2Connection[];
  streamsClosed: number;
  mostQueued: number;
}

export interface EchoServer extends AsyncDisposable {
  readonly port: number;
  readonly log: ServerLog;
  /** The first error that a stream of the server ended with. */
  readonly streamFailed: Promise<Http2Error>;
  /** Resolves when a connection of the server has closed. */
  connectionClosed(): Promise<void>;
}

/** A server that echoes bodies and answers with `grpc-status: 0` trailers. `/silent` is neither read nor answered, `/large` gets 1 MiB. */
export async function startEcho(options: Http2Options = {}): Promise<EchoServer> {
  const log: ServerLog = {
    requests: [],
    streamErrors: [],
    connectionErrors: [],
    connections: [],
    streamsClosed: 0,
    mostQueued: 0,
  };
  const sockets = new Set<Socket>();
  const failed = Promise.withResolvers<Http2Error>();
  let closed = 0;
  let waiters: (() => void)[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    const connection: Http2Connection = new Http2Connection(
      socket,
      "server",
      {
        onStream(stream, headers, endStream) {
          log.requests.push(headers);
          const path = headers[headers.indexOf(":path") + 1];
          const handler = new EchoStream(connection, stream, log, failed.resolve, path === "/silent");
          if (path === "/silent") return handler;
          connection.sendHeaders(stream, okHead, [], false);
          if (path === "/large") connection.write(stream, undefined, new Uint8Array(1024 * 1024), false);
          if (endStream) connection.sendHeaders(stream, okTrailers, [], true);
          return handler;
        },
        onGoaway: () => undefined,
        onCapacity: () => undefined,
        onClose(error) {
          if (error !== undefined) log.connectionErrors.push(error);
          closed += 1;
          for (const wake of waiters) wake();
          waiters = [];
        },
      },
      options,
    );
    log.connections.push(connection);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    log,
    streamFailed: failed.promise,
    connectionClosed: () => (closed > 0 ? Promise.resolve() : new Promise((resolve) => waiters.push(resolve))),
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

export interface Reply {
  readonly headers: HeaderList;
  readonly trailers: HeaderList;
  readonly body: Buffer;
  readonly error: Http2Error | undefined;
}

/** One call's handler that gathers what comes. */
export class Gatherer implements StreamHandler {
  readonly done: Promise<Reply>;
  stream: Http2Stream | undefined;
  isConsuming = true;
  received = 0;
  readonly #connection: Http2Connection;
  readonly #chunks: Buffer[] = [];
  readonly #blocks: HeaderList[] = [];
  readonly #resolve: (reply: Reply) => void;
  #onWritable: (() => void) | undefined;
  #onFirstHeaders: (() => void) | undefined;

  constructor(connection: Http2Connection) {
    this.#connection = connection;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.done = promise;
    this.#resolve = resolve;
  }

  onHeaders(headers: HeaderList): void {
    this.#blocks.push(headers);
    this.#onFirstHeaders?.();
  }

  onData(chunk: Uint8Array, start: number, end: number): void {
    this.#chunks.push(Buffer.from(chunk.subarray(start, end)));
    this.received += end - start;
    if (this.isConsuming && this.stream !== undefined) this.#connection.consume(this.stream, end - start);
  }

  onWritable(): void {
    this.#onWritable?.();
  }

  onClose(error: Http2Error | undefined): void {
    this.#resolve({
      headers: this.#blocks[0] ?? [],
      trailers: this.#blocks[1] ?? [],
      body: Buffer.concat(this.#chunks),
      error,
    });
  }

  writable(): Promise<void> {
    return new Promise((resolve) => {
      this.#onWritable = resolve;
    });
  }

  headers(): Promise<void> {
    return this.#blocks.length > 0
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.#onFirstHeaders = resolve;
        });
  }
}

export interface Client extends Disposable {
  readonly connection: Http2Connection;
  readonly goaways: { code: number; debug: string }[];
  readonly closed: Promise<Http2Error | undefined>;
  /** Starts a call; `body` undefined leaves the request open. */
  call(body: Uint8Array | undefined, rest?: HeaderList, head?: HeaderTemplate): Gatherer;
}

/** A client connection of ours that has the server's SETTINGS. */
export async function connectClient(port: number, options: Http2Options = {}): Promise<Client> {
  const socket = connect(port, "127.0.0.1");
  const ready = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<Http2Error | undefined>();
  const goaways: { code: number; debug: string }[] = [];
  const handler: ConnectionHandler = {
    onStream() {
      throw new Error("a client gets no requests");
    },
    onGoaway: (code, debug) => void goaways.push({ code, debug }),
    onCapacity: () => ready.resolve(),
    onClose(error) {
      ready.resolve();
      closed.resolve(error);
    },
  };
  const connection = new Http2Connection(socket, "client", handler, options);
  await ready.promise;
  return {
    connection,
    goaways,
    closed: closed.promise,
    call(body, rest = [], head = postHead) {
      const gatherer = new Gatherer(connection);
      gatherer.stream = connection.request(gatherer, head, rest, body?.length === 0);
      if (body !== undefined && body.length > 0) connection.write(gatherer.stream, empty, body, true);
      return gatherer;
    },
    [Symbol.dispose]: () => socket.destroy(),
  };
}
