import type { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import type * as grpc from "@grpc/grpc-js";
import {
  type CallSettings,
  type ExchangeOf,
  type InteropClient,
  Mailbox,
  type MethodName,
  type Outcome,
  type ReceivedMetadata,
} from "./exchange.ts";
import type { ServerAddress } from "./server-address.ts";
import { grpcJsMethod, type TestMethod, testMethods } from "./service.ts";
import { serverName } from "./tls-files.ts";

/** grpc-js, or what replaces it. */
export type GrpcModule = Pick<
  typeof grpc,
  "Client" | "Metadata" | "Server" | "ServerCredentials" | "credentials" | "status"
>;

interface AnyCall extends EventEmitter {
  cancel(): void;
  write?(message: unknown, flags: number): boolean;
  end?(): unknown;
}

/** grpc-js's `compressionAlgorithms.gzip`, and the write flag that exempts a message. */
const gzip = 2;
const noCompress = 2;

/** A client with grpc-js's API, of `module`. */
export function connectStubClient(module: GrpcModule, server: ServerAddress): InteropClient {
  const credentials =
    server.caFile === undefined
      ? module.credentials.createInsecure()
      : module.credentials.createSsl(readFileSync(server.caFile));
  const options = {
    ...(server.caFile === undefined
      ? {}
      : { "grpc.ssl_target_name_override": serverName, "grpc.default_authority": serverName }),
    // Clients of one process share connections otherwise, and channel_soak wants new ones.
    "grpc.use_local_subchannel_pool": 1,
  };
  const address = `127.0.0.1:${server.port}`;
  const client = new module.Client(address, credentials, options);
  // In grpc-js a channel compresses or doesn't; a call can't say.
  let compressing: grpc.Client | undefined;
  const clientFor = (settings: CallSettings) => {
    if (settings.compress !== true) return client;
    compressing ??= new module.Client(address, credentials, { ...options, "grpc.default_compression_algorithm": gzip });
    return compressing;
  };
  return {
    start: (name, settings = {}) => converse(module, clientFor(settings), name, settings),
    async close() {
      client.close();
      compressing?.close();
    },
  };
}

function converse<Name extends MethodName>(
  module: GrpcModule,
  client: grpc.Client,
  name: Name,
  settings: CallSettings,
): ExchangeOf<Name> {
  const method = grpcJsMethod(testMethods[name] as unknown as TestMethod<unknown, unknown>);
  const responses = new Mailbox<unknown>();
  const metadata = new module.Metadata();
  for (const [key, value] of Object.entries(settings.metadata ?? {})) {
    metadata.add(key, typeof value === "string" ? value : Buffer.from(value));
  }
  const options: grpc.CallOptions =
    settings.timeoutMs === undefined ? {} : { deadline: Date.now() + settings.timeoutMs };
  let headers: ReceivedMetadata = new Map();
  let call: AnyCall | undefined;
  let isReadToEnd = false;
  let status: grpc.StatusObject | undefined;
  const { promise: outcome, resolve } = Promise.withResolvers<Outcome>();
  const settle = () => {
    if (!isReadToEnd || status === undefined) return;
    resolve({ code: status.code, details: status.details, headers, trailers: firstValues(status.metadata) });
  };
  const readToEnd = () => {
    isReadToEnd = true;
    responses.close();
    settle();
  };
  const callback = (_error: unknown, response?: unknown) => {
    if (response !== undefined) responses.put(response);
    readToEnd();
  };
  const watch = (started: AnyCall) => {
    call = started;
    started.on("metadata", (received: grpc.Metadata) => {
      headers = firstValues(received);
    });
    started.on("status", (received: grpc.StatusObject) => {
      status = received;
      settle();
    });
    if (!method.responseStream) return;
    started.on("data", (response: unknown) => responses.put(response));
    started.on("end", readToEnd);
    started.on("error", readToEnd);
  };
  const { path, requestSerialize, responseDeserialize } = method;
  const [encode, decode] = [requestSerialize, responseDeserialize];
  if (method.requestStream) {
    watch(
      method.responseStream
        ? client.makeBidiStreamRequest(path, encode, decode, metadata, options)
        : client.makeClientStreamRequest(path, encode, decode, metadata, options, callback),
    );
  }
  return {
    send(message: unknown, compress = true) {
      // grpc-js takes its write flags where Node's streams have the encoding.
      if (method.requestStream) call?.write?.(message, compress ? 0 : noCompress);
      else if (method.responseStream) {
        watch(client.makeServerStreamRequest(path, encode, decode, message, metadata, options));
      } else watch(client.makeUnaryRequest(path, encode, decode, message, metadata, options, callback));
    },
    halfClose() {
      if (method.requestStream) call?.end?.();
    },
    receive: () => responses.take(),
    cancel: () => call?.cancel(),
    outcome,
  } as unknown as ExchangeOf<Name>;
}

function firstValues(metadata: grpc.Metadata): ReceivedMetadata {
  const values = new Map<string, string | Uint8Array>();
  for (const key of Object.keys(metadata.getMap())) {
    const [first] = metadata.get(key);
    if (first !== undefined) values.set(key, first);
  }
  return values;
}
