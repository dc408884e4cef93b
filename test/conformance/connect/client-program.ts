// A client under test: reads calls on stdin, makes them, and writes on stdout what came of each.
import { setTimeout as sleep } from "node:timers/promises";
import { create, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { tlsChannelCredentials } from "@weft/grpc";
import {
  type ClientCompatRequest,
  type ClientCompatResponse,
  clientCompatRequestSchema,
  clientCompatResponseSchema,
  conformanceService,
  type errorSchema,
  fullDuplexBidi,
  gzipCompression,
  type Header,
  type Payload,
  type PayloadResponse,
  payloadSchema,
  registry,
} from "./messages.ts";
import { readMessages, writeMessage } from "./size-delimited.ts";

/** Where calls go, and how. */
export interface Destination {
  readonly address: string;
  /** The server's certificate; undefined for plaintext. */
  readonly rootsPem: string | undefined;
  readonly keyPair: { readonly privateKeyPem: string; readonly certificateChainPem: string } | undefined;
  readonly maxReceiveMessageBytes: number | undefined;
  readonly compression: "gzip" | "identity";
}

/** A method by its local name. */
export type MethodName = keyof typeof conformanceService.method;

/** One call as it is to be made. */
export interface Call {
  readonly method: MethodName;
  readonly headers: readonly Header[];
  readonly timeoutMs: number | undefined;
  readonly signal: AbortSignal;
  /** To be read once; exactly one message where the method takes one. */
  readonly requests: AsyncIterable<Message>;
  onHeaders(headers: Header[]): void;
  onTrailers(trailers: Header[]): void;
}

/** A client at one destination. */
export interface Client {
  /** Makes the call; yields its responses as they come, fails with whatever its stack fails with. */
  responses(call: Call): AsyncIterable<Message>;
  /** That as the suite describes errors. */
  errorOf(reason: unknown): MessageInitShape<typeof errorSchema>;
}

const mostAtOnce = 8;

/** Makes every call that is asked for with clients of `connect`, one for each destination. */
export async function runCalls(connect: (destination: Destination) => Client): Promise<void> {
  process.once("SIGTERM", () => process.exit(0));
  const clients = new Map<string, Client>();
  const clientOf = (request: ClientCompatRequest): Client => {
    const destination = destinationOf(request);
    const key = JSON.stringify(destination);
    let client = clients.get(key);
    if (client === undefined) {
      client = connect(destination);
      clients.set(key, client);
    }
    return client;
  };
  const requests = readMessages(clientCompatRequestSchema);
  const work = async () => {
    for (let next = await requests.next(); next.done !== true; next = await requests.next()) {
      writeMessage(clientCompatResponseSchema, await outcomeOf(next.value, clientOf));
    }
  };
  await Promise.all(Array.from({ length: mostAtOnce }, work));
}

function destinationOf(request: ClientCompatRequest): Destination {
  const { host, port, serverTlsCert, clientTlsCreds, messageReceiveLimit, compression } = request;
  const pair = clientTlsCreds;
  return {
    address: `${host}:${port}`,
    rootsPem: serverTlsCert.length === 0 ? undefined : text(serverTlsCert),
    keyPair: pair === undefined ? undefined : { privateKeyPem: text(pair.key), certificateChainPem: text(pair.cert) },
    maxReceiveMessageBytes: messageReceiveLimit === 0 ? undefined : messageReceiveLimit,
    compression: compression === gzipCompression ? "gzip" : "identity",
  };
}

/** A destination as options of this package's own channels. */
export function channelOptionsOf({ rootsPem, keyPair, maxReceiveMessageBytes, compression }: Destination) {
  const pair = keyPair === undefined ? {} : { keyPair };
  return {
    compression,
    ...(rootsPem === undefined ? {} : { credentials: tlsChannelCredentials({ rootsPem, ...pair }) }),
    ...(maxReceiveMessageBytes === undefined ? {} : { maxReceiveMessageBytes }),
  };
}

async function outcomeOf(
  request: ClientCompatRequest,
  clientOf: (request: ClientCompatRequest) => Client,
): Promise<ClientCompatResponse> {
  const { testName } = request;
  try {
    const value = await make(request, clientOf(request));
    return create(clientCompatResponseSchema, { testName, result: { case: "response", value } });
  } catch (error) {
    // Only what is wrong with the request itself: whatever becomes of the call is a result.
    const value = { message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    return create(clientCompatResponseSchema, { testName, result: { case: "error", value } });
  }
}

type Result = Extract<
  NonNullable<MessageInitShape<typeof clientCompatResponseSchema>["result"]>,
  { case: "response" }
>["value"];

async function make(request: ClientCompatRequest, client: Client): Promise<Result> {
  const controller = new AbortController();
  const payloads: Payload[] = [];
  const received = new Received();
  let responseHeaders: Header[] = [];
  let responseTrailers: Header[] = [];
  const { timing } = cancelOf(request);
  const method = methodOf(request);
  const responses = client.responses({
    method,
    headers: request.requestHeaders,
    timeoutMs: request.timeoutMs,
    signal: controller.signal,
    requests: requestsOf(request, received, controller),
    onHeaders: (headers) => {
      responseHeaders = headers;
    },
    onTrailers: (trailers) => {
      responseTrailers = trailers;
    },
  });
  try {
    for await (const response of responses) {
      // The response of `Unimplemented` has no payload.
      payloads.push((response as PayloadResponse).payload ?? create(payloadSchema));
      if (timing.case === "afterNumResponses" && payloads.length === timing.value) controller.abort();
      received.count(payloads.length);
    }
    return { responseHeaders, payloads, responseTrailers };
  } catch (reason) {
    return { responseHeaders, payloads, responseTrailers, error: client.errorOf(reason) };
  } finally {
    received.count(Number.POSITIVE_INFINITY);
  }
}

async function* requestsOf(
  request: ClientCompatRequest,
  received: Received,
  controller: AbortController,
): AsyncGenerator<Message> {
  const { requestMessages, requestDelayMs, streamType } = request;
  const { timing } = cancelOf(request);
  let sent = 0;
  for (const message of requestMessages) {
    if (requestDelayMs > 0) await sleep(requestDelayMs);
    yield unpack(message);
    sent++;
    if (streamType === fullDuplexBidi) await received.reaches(sent);
  }
  if (timing.case === "beforeCloseSend") controller.abort();
  if (timing.case === "afterCloseSendMs") setTimeout(() => controller.abort(), timing.value);
}

/** When the call is to be cancelled; `never` where it isn't. */
function cancelOf({ cancel }: ClientCompatRequest): {
  timing: { case: "never" } | Exclude<NonNullable<ClientCompatRequest["cancel"]>["cancelTiming"], { case: undefined }>;
} {
  if (cancel === undefined) return { timing: { case: "never" } };
  const { cancelTiming } = cancel;
  return { timing: cancelTiming.case === undefined ? { case: "afterCloseSendMs", value: 0 } : cancelTiming };
}

function methodOf({ service, method }: ClientCompatRequest): MethodName {
  const found = conformanceService.methods.find((each) => each.name === method);
  if (service !== conformanceService.typeName || found === undefined) throw new Error(`no method ${service}/${method}`);
  return found.localName as MethodName;
}

function unpack(any: Any): Message {
  const message = anyUnpack(any, registry);
  if (message === undefined) throw new Error(`no message ${any.typeUrl}`);
  return message;
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** How many responses have come, for those who wait for it. */
class Received {
  #count = 0;
  #target = 0;
  #reached: (() => void) | undefined;

  count(count: number): void {
    this.#count = count;
    if (count >= this.#target) this.#reached?.();
  }

  reaches(target: number): Promise<void> {
    this.#target = target;
    if (this.#count >= target) return Promise.resolve();
    return new Promise((resolve) => {
      this.#reached = resolve;
    });
  }
}
