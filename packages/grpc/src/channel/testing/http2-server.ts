import {
  createServer,
  type Http2Session,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from "node:http2";
import type { AddressInfo } from "node:net";

/** A node:http2 server that speaks gRPC by hand. */
export interface Http2Server extends AsyncDisposable {
  readonly port: number;
  /** Connections that are open, oldest first. */
  readonly sessions: readonly Http2Session[];
}

/** Starts one on 127.0.0.1; `onCall` gets each stream with its request's headers. */
export async function startHttp2Server(
  onCall: (stream: ServerHttp2Stream, headers: Record<string, string | string[] | undefined>) => void,
  settings: Settings = {},
): Promise<Http2Server> {
  const server = createServer({ settings });
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => {
    sessions.push(session);
    session.on("close", () => sessions.splice(sessions.indexOf(session), 1));
    // The other side breaks connections on purpose.
    session.on("error", () => undefined);
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => undefined);
    onCall(stream, headers);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    sessions,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const session of [...sessions]) session.destroy();
    },
  };
}

/** `message` with gRPC's prefix. */
export function frame(message: string | Uint8Array, flag = 0): Buffer {
  const body = Buffer.from(message);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(flag, 0);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** Answers with `bytes` and trailers, as a gRPC server would. */
export function answer(
  stream: ServerHttp2Stream,
  bytes: Uint8Array,
  trailers: Record<string, string> = { "grpc-status": "0" },
): void {
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(bytes);
}
