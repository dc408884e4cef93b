// What the suite's service answers, whatever stack serves it: each request says what its responses are to be.
import { setTimeout as sleep } from "node:timers/promises";
import { create, type DescMessage, type Message } from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import {
  type BidiStreamRequest,
  type ClientStreamRequest,
  conformanceService,
  type Header,
  type Payload,
  type RequestInfo,
  requestInfoSchema,
  type ServerStreamRequest,
  type SingleDefinition,
  type StreamDefinition,
  type SuiteError,
  type UnaryRequest,
} from "./messages.ts";

/** A call, as its stack shows it to the service. */
export interface Caller {
  readonly requestHeaders: Header[];
  /** What is left of the call's time. */
  readonly timeoutMs: number | undefined;
  /** Sends response headers, at once. */
  sendHeaders(headers: readonly Header[]): void;
  /** Sets what goes with the status. */
  setTrailers(trailers: readonly Header[]): void;
}

/** The error that a call is to end with. */
export class Failure extends Error {
  readonly error: SuiteError;

  constructor(error: SuiteError) {
    super(error.message);
    this.error = error;
  }
}

/** A response as far as it is said here; the stack makes the method's message of it. */
export interface Response {
  payload: Pick<Payload, "data"> & { requestInfo?: RequestInfo };
}

const { unary, serverStream, clientStream, bidiStream } = conformanceService.method;

export function answerUnary(request: UnaryRequest, caller: Caller): Promise<Response> {
  return answerSingle([pack(unary.input, request)], request.responseDefinition, caller);
}

export async function answerClientStream(
  requests: AsyncIterable<ClientStreamRequest>,
  caller: Caller,
): Promise<Response> {
  const packed: Any[] = [];
  let definition: SingleDefinition | undefined;
  for await (const request of requests) {
    if (packed.length === 0) definition = request.responseDefinition;
    packed.push(pack(clientStream.input, request));
  }
  return answerSingle(packed, definition, caller);
}

export async function* answerServerStream(request: ServerStreamRequest, caller: Caller): AsyncGenerator<Response> {
  const definition = request.responseDefinition;
  if (definition === undefined) return;
  open(definition, caller);
  yield* rest(definition, 0, [pack(serverStream.input, request)], caller);
}

export async function* answerBidiStream(
  requests: AsyncIterable<BidiStreamRequest>,
  caller: Caller,
): AsyncGenerator<Response> {
  let definition: StreamDefinition | undefined;
  let isFullDuplex = false;
  let isFirst = true;
  let sent = 0;
  let packed: Any[] = [];
  for await (const request of requests) {
    packed.push(pack(bidiStream.input, request));
    if (isFirst) {
      isFirst = false;
      definition = request.responseDefinition;
      isFullDuplex = request.fullDuplex;
      if (definition !== undefined) open(definition, caller);
    }
    if (!isFullDuplex) continue;
    if (definition === undefined || sent >= definition.responseData.length) break;
    await sleep(definition.responseDelayMs);
    const info = sent === 0 ? requestInfo(caller, packed) : create(requestInfoSchema, { requests: packed });
    yield { payload: { data: definition.responseData[sent]!, requestInfo: info } };
    sent++;
    packed = [];
  }
  if (definition !== undefined) yield* rest(definition, sent, packed, caller);
}

async function answerSingle(
  requests: Any[],
  definition: SingleDefinition | undefined,
  caller: Caller,
): Promise<Response> {
  const info = requestInfo(caller, requests);
  if (definition === undefined) return { payload: { data: new Uint8Array(), requestInfo: info } };
  open(definition, caller);
  await sleep(definition.responseDelayMs);
  const { response } = definition;
  if (response.case === "error") throw failure(response.value, info);
  return { payload: { data: response.value ?? new Uint8Array(), requestInfo: info } };
}

/** The responses from number `sent` on, and the error where one is to follow. */
async function* rest(
  definition: StreamDefinition,
  sent: number,
  requests: Any[],
  caller: Caller,
): AsyncGenerator<Response> {
  let number = sent;
  for (const data of definition.responseData.slice(sent)) {
    const info = number === 0 ? { requestInfo: requestInfo(caller, requests) } : {};
    await sleep(definition.responseDelayMs);
    yield { payload: { data, ...info } };
    number++;
  }
  if (definition.error === undefined) return;
  throw number === 0 ? failure(definition.error, requestInfo(caller, requests)) : new Failure(definition.error);
}

function open({ responseHeaders, responseTrailers }: SingleDefinition | StreamDefinition, caller: Caller): void {
  caller.setTrailers(responseTrailers);
  caller.sendHeaders(responseHeaders);
}

/** With nothing sent before it, the error tells of the request. */
function failure(error: SuiteError, info: RequestInfo): Failure {
  return new Failure({ ...error, details: [...error.details, pack(requestInfoSchema, info)] });
}

function requestInfo(caller: Caller, requests: Any[]): RequestInfo {
  const { timeoutMs } = caller;
  return create(requestInfoSchema, {
    requestHeaders: caller.requestHeaders,
    requests,
    ...(timeoutMs === undefined ? {} : { timeoutMs: BigInt(Math.max(0, Math.round(timeoutMs))) }),
  });
}

function pack<Desc extends DescMessage>(desc: Desc, message: Message): Any {
  return anyPack(desc, message as Parameters<typeof anyPack<Desc>>[1]);
}
