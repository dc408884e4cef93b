import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer } from "node:tls";
import { type ConnectionHandler, Http2Connection } from "../../../packages/grpc/src/http2/connection.ts";
import { HeaderTemplate } from "../../../packages/grpc/src/http2/headers.ts";
import type { Http2Stream, StreamHandler } from "../../../packages/grpc/src/http2/stream.ts";
import { createTestAuthority } from "../../../packages/grpc/src/identity/testing/certificates.ts";

const ok = new HeaderTemplate([":status", "200", "content-type", "text/plain"]);
// at least five bytes, or the cases about windows are skipped
const body = Buffer.from("answered by the HTTP/2 layer\n");

class Answer implements StreamHandler {
  readonly #connection: Http2Connection;
  readonly #stream: Http2Stream;

  constructor(connection: Http2Connection, stream: Http2Stream) {
    this.#connection = connection;
    this.#stream = stream;
  }

  onHeaders(_: unknown, endStream: boolean): void {
    if (endStream) this.send();
  }

  onData(_: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.#connection.consume(this.#stream, end - start);
    if (endStream) this.send();
  }

  send(): void {
    this.#connection.sendHeaders(this.#stream, ok, [], false);
    this.#connection.write(this.#stream, undefined, body, true);
  }

  onWritable(): void {
    // nothing is left to write
  }

  onClose(): void {
    // nothing is held
  }
}

function serve(socket: Duplex): void {
  const handler: ConnectionHandler = {
    onStream(stream, _, endStream) {
      const answer = new Answer(connection, stream);
      if (endStream) answer.send();
      return answer;
    },
    onGoaway: () => undefined,
    onCapacity: () => undefined,
    onClose: () => undefined,
  };
  const connection: Http2Connection = new Http2Connection(socket, "server", handler);
}

export interface Answering extends AsyncDisposable {
  readonly port: number;
}

/** A server on a free loopback port that answers every request once it is whole; with `tls`, over TLS with ALPN h2. */
export async function startAnswering(tls: boolean): Promise<Answering> {
  const sockets = new Set<Duplex>();
  const onSocket = (socket: Duplex): void => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  };
  let server: Server;
  if (tls) {
    const authority = await createTestAuthority();
    const leaf = await authority.issue({ dns: ["localhost"], ips: ["127.0.0.1"] });
    const { privateKeyPem: key, certificateChainPem: cert } = leaf;
    server = createTlsServer({ key, cert, ALPNProtocols: ["h2"], minVersion: "TLSv1.2" }, onSocket);
    // the tool opens connections that it closes before the handshake ends
    server.on("tlsClientError", () => undefined);
  } else {
    server = createServer(onSocket);
  }
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}
