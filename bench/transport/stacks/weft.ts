// @weft/grpc's promise client and server.
import {
  type CallOptions,
  type ChannelOptions,
  createClient,
  createServer,
  Metadata,
  type ServerContext,
  type ServerOptions,
  tlsChannelCredentials,
  tlsServerCredentials,
} from "@weft/grpc";
import type { Certificates } from "../certificates.ts";
import { deadlineMs, echoDefinition, payload, requestId, token } from "../service.ts";
import type { Stack } from "../stack.ts";

async function echo(request: Buffer, context: ServerContext): Promise<Buffer> {
  if (context.metadata.get("authorization") !== token) throw new Error("no token");
  if (context.metadata.get("x-request-id") === undefined) throw new Error("no request id");
  return request;
}

async function bare(request: Buffer): Promise<Buffer> {
  return request;
}

async function* repeat(request: Buffer): AsyncGenerator<Buffer> {
  for (;;) yield request;
}

async function* chat(requests: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const request of requests) yield request;
}

function serverOptions(certificates: Certificates | undefined): ServerOptions {
  if (certificates === undefined) return {};
  const { root, key, certificate } = certificates;
  const keyPair = { privateKeyPem: key, certificateChainPem: certificate };
  return { credentials: tlsServerCredentials({ keyPair, clientRootsPem: root }) };
}

function channelOptions(certificates: Certificates | undefined, connection: number): ChannelOptions {
  // Channels of equal settings share their connections: a wait that never happens makes these different.
  // An open loop is let queue what it offers.
  const own = { initialBackoffMs: 1000 + connection, maxQueuedCalls: 200_000, maxConnectionsPerAddress: 1 };
  if (certificates === undefined) return own;
  const { root, key, certificate } = certificates;
  const keyPair = { privateKeyPem: key, certificateChainPem: certificate };
  return { ...own, credentials: tlsChannelCredentials({ rootsPem: root, keyPair }) };
}

export const weft: Stack = {
  async serve(certificates) {
    const server = createServer(serverOptions(certificates));
    server.add(echoDefinition, { echo, bare, repeat, chat });
    return (await server.listen("127.0.0.1:0")).port;
  },

  connect({ port, certificates, bytes, bare, connection }) {
    const client = createClient(echoDefinition, `127.0.0.1:${port}`, channelOptions(certificates, connection));
    const message = payload(bytes);
    let sequence = 0;
    const realistic = (): CallOptions => {
      const metadata = new Metadata();
      metadata.set("authorization", token);
      metadata.set("x-request-id", requestId(sequence++));
      return { metadata, timeoutMs: deadlineMs };
    };
    const read = async (messages: AsyncIterable<Buffer>, onMessage: () => void, isOver: () => boolean) => {
      for await (const _ of messages) {
        if (isOver()) return;
        onMessage();
      }
    };
    return {
      call(onReply, onError) {
        if (bare) client.bare(message).then(onReply, onError);
        else client.echo(message, realistic()).then(onReply, onError);
      },
      stream(onMessage, onError) {
        let over = false;
        read(client.repeat(message, realistic()), onMessage, () => over).catch(onError);
        return () => {
          over = true;
        };
      },
      pingPong(onMessage, onError) {
        let over = false;
        let answered = Promise.withResolvers<void>();
        const requests = async function* () {
          while (!over) {
            yield message;
            await answered.promise;
            answered = Promise.withResolvers<void>();
          }
        };
        const onReply = () => {
          onMessage();
          answered.resolve();
        };
        read(client.chat(requests(), realistic()), onReply, () => over).catch(onError);
        return () => {
          over = true;
        };
      },
    };
  },
};
