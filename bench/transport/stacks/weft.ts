import { createClient, createServer, Metadata, type ServerContext } from "@weft/grpc";
import { deadlineMs, echoDefinition, payload, requestId, token } from "../service.ts";
import type { Stack } from "../stack.ts";

async function echo(request: Buffer, context: ServerContext): Promise<Buffer> {
  if (context.metadata.get("authorization") !== token) throw new Error("no token");
  if (context.metadata.get("x-request-id") === undefined) throw new Error("no request id");
  return request;
}

export const weft: Stack = {
  name: "weft",

  async serve() {
    const server = createServer();
    server.add(echoDefinition, { echo });
    return (await server.listen("127.0.0.1:0")).port;
  },

  async connect(port) {
    const client = createClient(echoDefinition, `127.0.0.1:${port}`);
    let sequence = 0;
    return {
      call(done) {
        const metadata = new Metadata();
        metadata.set("authorization", token);
        metadata.set("x-request-id", requestId(sequence++));
        client.echo(payload, { metadata, timeoutMs: deadlineMs }).then(() => done(null), done);
      },
      close: () => void client[Symbol.asyncDispose](),
    };
  },
};
