// Stubs and handlers as grpc-js has them, on whichever module of its shape is given: grpc-js itself or ours.
import type * as GrpcJs from "@grpc/grpc-js";
import type { Certificates } from "../certificates.ts";
import { deadlineMs, echoDefinition, payload, requestId, token } from "../service.ts";
import type { Caller, ConnectOptions, Stack } from "../stack.ts";

/** The parts of grpc-js's surface that are used here. */
type Surface = Pick<
  typeof GrpcJs,
  "Metadata" | "Server" | "ServerCredentials" | "credentials" | "makeGenericClientConstructor" | "status"
>;

type Unary = (
  request: Buffer,
  metadata: GrpcJs.Metadata,
  options: GrpcJs.CallOptions,
  callback: (error: GrpcJs.ServiceError | null) => void,
) => void;

type EchoStub = GrpcJs.Client & {
  readonly echo: Unary;
  readonly bare: Unary;
  repeat(request: Buffer, metadata: GrpcJs.Metadata, options: GrpcJs.CallOptions): GrpcJs.ClientReadableStream<Buffer>;
  chat(metadata: GrpcJs.Metadata, options: GrpcJs.CallOptions): GrpcJs.ClientDuplexStream<Buffer, Buffer>;
};

/** The stack of `grpc`. */
export function stubs(grpc: Surface): Stack {
  return {
    serve: (certificates) => serve(grpc, certificates),
    connect: (options) => connect(grpc, options),
  };
}

async function echo(call: GrpcJs.ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> {
  if (call.metadata.get("authorization")[0] !== token) throw new Error("no token");
  if (call.metadata.get("x-request-id").length !== 1) throw new Error("no request id");
  return call.request;
}

async function bareEcho(call: GrpcJs.ServerUnaryCall<Buffer, Buffer>): Promise<Buffer> {
  return call.request;
}

function repeat(call: GrpcJs.ServerWritableStream<Buffer, Buffer>): void {
  let over = false;
  const pump = () => {
    while (!over && call.write(call.request));
  };
  call.on("drain", pump);
  call.on("cancelled", () => {
    over = true;
  });
  pump();
}

function chat(call: GrpcJs.ServerDuplexStream<Buffer, Buffer>): void {
  call.on("data", (message: Buffer) => call.write(message));
  call.on("end", () => call.end());
}

function serve(grpc: Surface, certificates: Certificates | undefined): Promise<number> {
  const unary =
    (handler: typeof echo): GrpcJs.handleUnaryCall<Buffer, Buffer> =>
    (call, callback) => {
      handler(call).then(
        (reply) => callback(null, reply),
        (error: Error) => callback({ name: error.name, message: error.message, code: grpc.status.INTERNAL }),
      );
    };
  const server = new grpc.Server();
  server.addService(echoDefinition, { echo: unary(echo), bare: unary(bareEcho), repeat, chat });
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", serverCredentials(grpc, certificates), (error, port) =>
      error ? reject(error) : resolve(port),
    );
  });
}

function serverCredentials(grpc: Surface, certificates: Certificates | undefined): GrpcJs.ServerCredentials {
  if (certificates === undefined) return grpc.ServerCredentials.createInsecure();
  const [root, private_key, cert_chain] = buffers(certificates);
  return grpc.ServerCredentials.createSsl(root, [{ private_key, cert_chain }], true);
}

function channelCredentials(grpc: Surface, certificates: Certificates | undefined): GrpcJs.ChannelCredentials {
  if (certificates === undefined) return grpc.credentials.createInsecure();
  return grpc.credentials.createSsl(...buffers(certificates));
}

function buffers({ root, key, certificate }: Certificates): [Buffer, Buffer, Buffer] {
  return [Buffer.from(root), Buffer.from(key), Buffer.from(certificate)];
}

function connect(grpc: Surface, { port, certificates, bytes, bare }: ConnectOptions): Caller {
  const Stub = grpc.makeGenericClientConstructor(echoDefinition, "Echo");
  const client = new Stub(`127.0.0.1:${port}`, channelCredentials(grpc, certificates), {
    "grpc.use_local_subchannel_pool": 1,
    // An address can't be the name of a TLS server (RFC 6066).
    ...(certificates === undefined ? {} : { "grpc.ssl_target_name_override": "localhost" }),
  }) as unknown as EchoStub;
  const message = payload(bytes);
  let sequence = 0;
  const realistic = () => {
    const metadata = new grpc.Metadata();
    metadata.set("authorization", token);
    metadata.set("x-request-id", requestId(sequence++));
    return metadata;
  };
  const limited = () => ({ deadline: Date.now() + deadlineMs });
  const cancelling = (call: GrpcJs.ClientReadableStream<Buffer> | GrpcJs.ClientDuplexStream<Buffer, Buffer>) => () => {
    call.removeAllListeners("error").on("error", ignoreCancelled);
    call.cancel();
  };
  return {
    call(onReply, onError) {
      const done = (error: Error | null) => (error === null ? onReply() : onError(error));
      if (bare) client.bare(message, new grpc.Metadata(), {}, done);
      else client.echo(message, realistic(), limited(), done);
    },
    stream(onMessage, onError) {
      const call = client.repeat(message, realistic(), limited());
      call.on("data", onMessage).on("error", onError);
      return cancelling(call);
    },
    pingPong(onMessage, onError) {
      const call = client.chat(realistic(), limited());
      const onReply = () => {
        onMessage();
        call.write(message);
      };
      call.on("data", onReply).on("error", onError);
      call.write(message);
      return cancelling(call);
    },
  };
}

function ignoreCancelled(): void {
  // It was us.
}
