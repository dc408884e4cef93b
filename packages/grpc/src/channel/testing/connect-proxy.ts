import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";

/** What a proxy was asked. */
export interface ConnectRequest {
  readonly peer: string;
  readonly headers: IncomingHttpHeaders;
}

/** An HTTP proxy for tests. */
export interface ConnectProxy extends AsyncDisposable {
  readonly address: string;
  readonly url: string;
  /** Each CONNECT, in order. */
  readonly requests: readonly ConnectRequest[];
}

/**
 * Starts one on 127.0.0.1. It connects to ports of this machine by the names in `names` (`a.example:443`), and otherwise as
 * it is asked. What `refusal` returns for a request, `403 Forbidden`, is its answer.
 */
export async function startConnectProxy(
  names: Readonly<Record<string, number>> = {},
  refusal: (request: ConnectRequest) => string | undefined = () => undefined,
): Promise<ConnectProxy> {
  const requests: ConnectRequest[] = [];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    // Either side goes away as it likes.
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
  };
  const server = createServer();
  server.on("connect", ({ url = "", headers }, client: Socket, head) => {
    keep(client);
    const request = { peer: url, headers };
    requests.push(request);
    const refused = refusal(request);
    if (refused !== undefined) {
      client.end(`HTTP/1.1 ${refused}\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    const [, host = "", port = ""] = /^\[?(.*?)\]?:(\d+)$/.exec(url) ?? [];
    const known = names[url];
    const peer =
      known === undefined ? connect({ host, port: Number(port) }) : connect({ host: "127.0.0.1", port: known });
    keep(peer);
    peer.once("connect", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      peer.write(head);
      peer.pipe(client).pipe(peer);
    });
    peer.once("close", () => client.destroy());
    client.once("close", () => peer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    address,
    url: `http://${address}`,
    requests,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
