// The grpc-js facade's client under the suite: stubs as an application of grpc-js has them.
import type { Message } from "@bufbuild/protobuf";
import {
  ChannelCredentials,
  type ClientDuplexStream,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ClientWritableStream,
  type Client as GrpcJsClient,
  Metadata,
  makeGenericClientConstructor,
  type ServiceError,
} from "@weft/grpc/grpc-js";
import { type Call, type Client, type Destination, runCalls } from "./client-program.ts";
import { conformanceDefinition } from "./grpc-js-definition.ts";
import { detailsHeader, detailsOf, entriesOf, headersOf, onlyOf, pairsOf } from "./headers.ts";
import { conformanceService } from "./messages.ts";

type Options = { deadline?: number };
type Callback = (error: ServiceError | null, response?: Message) => void;
/** grpc-js's clients have their methods by name, typed by nobody. */
interface Stub {
  unary(request: Message, metadata: Metadata, options: Options, callback: Callback): ClientUnaryCall;
  serverStream(request: Message, metadata: Metadata, options: Options): ClientReadableStream<Message>;
  clientStream(metadata: Metadata, options: Options, callback: Callback): ClientWritableStream<Message>;
  bidiStream(metadata: Metadata, options: Options): ClientDuplexStream<Message, Message>;
}
type AnyCall =
  | ClientUnaryCall
  | ClientReadableStream<Message>
  | ClientWritableStream<Message>
  | ClientDuplexStream<Message, Message>;

/** grpc-js's number for it; the enum is not exported. */
const gzip = 2;
const Stubs = makeGenericClientConstructor(conformanceDefinition, conformanceService.typeName);

await runCalls((destination) => {
  const client = new Stubs(destination.address, credentialsOf(destination), optionsOf(destination));
  const stub = client as GrpcJsClient as unknown as Stub & { unimplemented: Stub["unary"] };
  return {
    async *responses(call) {
      const metadata = metadataOf(call);
      const options = call.timeoutMs === undefined ? {} : { deadline: Date.now() + call.timeoutMs };
      switch (call.method) {
        case "unary":
        case "unimplemented": {
          const request = await onlyOf(call.requests);
          yield await answer(call, (callback) => stub[call.method as "unary"](request, metadata, options, callback));
          return;
        }
        case "clientStream":
          yield await answer(call, (callback) => {
            const stream = stub.clientStream(metadata, options, callback);
            void writeAll(stream, call);
            return stream;
          });
          return;
        case "serverStream":
          yield* read(call, stub.serverStream(await onlyOf(call.requests), metadata, options));
          return;
        case "bidiStream": {
          const stream = stub.bidiStream(metadata, options);
          void writeAll(stream, call);
          yield* read(call, stream);
        }
      }
    },
    errorOf(reason) {
      const { code, details, metadata } = reason as ServiceError;
      const [bytes] = metadata?.get(detailsHeader) ?? [];
      return { code, message: details, details: detailsOf(bytes instanceof Buffer ? bytes : undefined) };
    },
  } satisfies Client;
});

function credentialsOf({ rootsPem, keyPair }: Destination): ChannelCredentials {
  if (rootsPem === undefined) return ChannelCredentials.createInsecure();
  if (keyPair === undefined) return ChannelCredentials.createSsl(Buffer.from(rootsPem));
  const { privateKeyPem, certificateChainPem } = keyPair;
  return ChannelCredentials.createSsl(
    Buffer.from(rootsPem),
    Buffer.from(privateKeyPem),
    Buffer.from(certificateChainPem),
  );
}

function optionsOf({ maxReceiveMessageBytes: limit, compression }: Destination) {
  return {
    ...(compression === "gzip" ? { "grpc.default_compression_algorithm": gzip } : {}),
    ...(limit === undefined ? {} : { "grpc.max_receive_message_length": limit }),
  };
}

function metadataOf(call: Call): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of entriesOf(call.headers)) metadata.add(name, value);
  return metadata;
}

/** Tells of headers and trailers; resolves once the status has come: grpc-js tells of that last. */
function watch(call: Call, stream: AnyCall): Promise<void> {
  const ended = Promise.withResolvers<void>();
  call.signal.addEventListener("abort", () => stream.cancel());
  stream.on("metadata", (metadata: Metadata) => call.onHeaders(headersOf(pairsOf(metadata))));
  stream.on("status", ({ metadata }: { metadata: Metadata }) => {
    call.onTrailers(headersOf(pairsOf(metadata)));
    ended.resolve();
  });
  return ended.promise;
}

async function answer(call: Call, start: (callback: Callback) => AnyCall): Promise<Message> {
  const reply = Promise.withResolvers<Message>();
  const stream = start((error, response) => {
    if (error === null && response !== undefined) reply.resolve(response);
    else reply.reject(error);
  });
  const [outcome] = await Promise.allSettled([reply.promise, watch(call, stream)]);
  if (outcome.status === "fulfilled") return outcome.value;
  throw outcome.reason;
}

async function* read(
  call: Call,
  stream: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>,
): AsyncGenerator<Message> {
  const ended = watch(call, stream);
  try {
    // Read to its end in any case; destroying it then would be news to what is still to be written.
    yield* stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Message>;
  } finally {
    await ended;
  }
}

async function writeAll(
  stream: ClientWritableStream<Message> | ClientDuplexStream<Message, Message>,
  call: Call,
): Promise<void> {
  let isOver = false;
  stream.on("status", () => {
    isOver = true;
    stream.emit("drain");
  });
  for await (const request of call.requests) {
    if (isOver) return;
    if (!stream.write(request)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
}
