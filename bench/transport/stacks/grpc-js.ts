import * as grpc from "@grpc/grpc-js";
import { deadlineMs, echoDefinition, payload, requestId, token } from "../service.ts";
import type { Stack } from "../stack.ts";

const EchoClient = grpc.makeGenericClientConstructor(echoDefinition, "Echo");
type EchoStub = grpc.Client & {
  echo(
    request: Buffer,
    metadata: grpc.Metadata,
    options: grpc.CallOptions,
    callback: (error: grpc.ServiceError | null) => void,
  ): void;
};

async function echo(call: grpc.ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> {
  if (call.metadata.get("authorization")[0] !== token) throw new Error("no token");
  if (call.metadata.get("x-request-id").length !== 1) throw new Error("no request id");
  return call.request;
}

export const grpcJs: Stack = {
  name: "grpc-js",

  async serve() {
    const server = new grpc.Server();
    const handler: grpc.handleUnaryCall<Buffer, Buffer> = (call, callback) => {
      echo(call).then(
        (reply) => callback(null, reply),
        (error: Error) => callback({ name: error.name, message: error.message, code: grpc.status.INTERNAL }),
      );
    };
    server.addService(echoDefinition, { echo: handler });
    return await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
        error ? reject(error) : resolve(port),
      );
    });
  },

  async connect(port) {
    const client = new EchoClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure()) as unknown as EchoStub;
    let sequence = 0;
    return {
      call(done) {
        const metadata = new grpc.Metadata();
        metadata.set("authorization", token);
        metadata.set("x-request-id", requestId(sequence++));
        client.echo(payload, metadata, { deadline: Date.now() + deadlineMs }, done);
      },
      close: () => client.close(),
    };
  },
};
