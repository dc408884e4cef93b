import { create, isMessage } from "@bufbuild/protobuf";
import { type Any, AnySchema, anyPack, StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  Code,
  ConnectError,
  createClient,
  createContextKey,
  createContextValues,
  decodeBinaryHeader,
  encodeBinaryHeader,
  type Interceptor,
} from "@connectrpc/connect";
import { Status as RpcStatus } from "@weft/xds-api/google/rpc/status";
import { expect, test } from "vitest";
import { Channel } from "../channel/channel.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { ServerContext } from "../rpc/server-call.ts";
import { type Line, LineSchema, Talk } from "../rpc/testing/talk_pb.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import { createServer } from "../server/server.ts";
import { rpcErrorOf } from "./connect-error.ts";
import { createWeftTransport } from "./transport.ts";

interface Settings {
  readonly handlers?: Partial<ServiceHandlers<typeof Talk>>;
  readonly interceptors?: Interceptor[];
  readonly defaultTimeoutMs?: number;
}

/** A connect-es client of Talk on our channel, and what serves it. */
async function startTalk({ handlers, ...options }: Settings = {}) {
  const contexts: ServerContext[] = [];
  const seen = <Request>(request: Request, context: ServerContext): Request => {
    contexts.push(context);
    return request;
  };
  const server = createServer({ onHandlerError: () => undefined });
  server.add(Talk, {
    say: async (line, context) => seen(line, context),
    collect: async (lines, context) => {
      seen(lines, context);
      return { text: (await textsOf(lines)).join(" ") };
    },
    expand: async function* ({ text }, context) {
      seen(text, context);
      for (const word of text.split(" ")) yield { text: word };
    },
    converse: async function* (lines, context) {
      seen(lines, context);
      for await (const { text } of lines) yield { text: `re: ${text}` };
    },
    ...handlers,
  });
  const { address } = await server.listen("127.0.0.1:0");
  const transport = createWeftTransport({ target: address, ...options });
  return {
    address,
    contexts,
    client: createClient(Talk, transport),
    [Symbol.asyncDispose]: async () => {
      await transport[Symbol.asyncDispose]();
      await server.close(0);
    },
  };
}

async function textsOf(lines: AsyncIterable<Line>): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of lines) texts.push(text);
  return texts;
}

async function failure(promise: Promise<unknown>): Promise<ConnectError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof ConnectError) return error;
  throw new Error(`no ConnectError but ${String(error)}`);
}

async function* linesOf(...texts: string[]) {
  for (const text of texts) yield { text };
}

test("the four kinds of calls run for a connect-es client", async () => {
  await using talk = await startTalk();
  const line = await talk.client.say({ text: "hello" });
  expect(isMessage(line, LineSchema) && line.text).toBe("hello");
  expect((await talk.client.collect(linesOf("a", "b"))).text).toBe("a b");
  expect(await textsOf(talk.client.expand({ text: "x y" }))).toEqual(["x", "y"]);
  expect(await textsOf(talk.client.converse(linesOf("1", "2")))).toEqual(["re: 1", "re: 2"]);
});

test("request headers arrive as metadata, those that aren't the caller's to set stay out", async () => {
  await using talk = await startTalk();
  const headers = new Headers({ "x-text": "one", "x-data-bin": encodeBinaryHeader(new Uint8Array([0, 255])) });
  headers.append("x-text", "two");
  headers.set("content-type", "text/plain");
  await talk.client.say({ text: "hello" }, { headers });
  const [context] = talk.contexts;
  expect(context?.metadata.getAll("x-text")).toEqual(["one, two"]);
  expect(context?.metadata.get("x-data-bin")).toEqual(new Uint8Array([0, 255]));
});

test("a header that gRPC can't carry is the caller's error", async () => {
  await using talk = await startTalk();
  const text = await failure(talk.client.say({}, { headers: { "x-text": "ü" } }));
  expect(text.code).toBe(Code.InvalidArgument);
  const bytes = await failure(talk.client.say({}, { headers: { "x-bin": "?" } }));
  expect(bytes.code).toBe(Code.InvalidArgument);
});

const withMetadata: Partial<ServiceHandlers<typeof Talk>> = {
  say: async (line, context) => {
    context.sendHeaders(new Metadata({ "x-header": "h", "x-bin": new Uint8Array([1, 2]) }));
    context.trailers.set("x-trailer", "t");
    return line;
  },
  expand: async function* (line, context) {
    context.sendHeaders(new Metadata({ "x-header": "h" }));
    context.trailers.set("x-trailer", "t");
    yield line;
  },
};

test("response headers and trailers of a unary call reach onHeader and onTrailer", async () => {
  await using talk = await startTalk({ handlers: withMetadata });
  let header = new Headers();
  let trailer = new Headers();
  await talk.client.say({}, { onHeader: (headers) => (header = headers), onTrailer: (headers) => (trailer = headers) });
  expect(header.get("x-header")).toBe("h");
  expect(decodeBinaryHeader(header.get("x-bin") ?? "")).toEqual(new Uint8Array([1, 2]));
  expect(trailer.get("x-trailer")).toBe("t");
});

test("response headers of a stream come before its first message, trailers after its last", async () => {
  await using talk = await startTalk({ handlers: withMetadata });
  const events: string[] = [];
  const lines = talk.client.expand(
    { text: "x" },
    {
      onHeader: (headers) => events.push(`header ${headers.get("x-header")}`),
      onTrailer: (headers) => events.push(`trailer ${headers.get("x-trailer")}`),
    },
  );
  for await (const { text } of lines) events.push(text);
  expect(events).toEqual(["header h", "x", "trailer t"]);
});

test("interceptors see the request, its context and the response, and may change both", async () => {
  const who = createContextKey("nobody");
  const seen: string[] = [];
  const interceptor: Interceptor = (next) => async (request) => {
    request.header.set("x-who", request.contextValues.get(who));
    const response = await next(request);
    seen.push(`${new URL(request.url).pathname} ${response.stream} ${response.trailer.get("x-trailer")}`);
    return response;
  };
  await using talk = await startTalk({ interceptors: [interceptor] });
  await talk.client.say({ text: "hello" }, { contextValues: createContextValues().set(who, "ada") });
  await textsOf(talk.client.expand({ text: "x" }, { contextValues: createContextValues().set(who, "bob") }));
  expect(talk.contexts.map((context) => context.metadata.get("x-who"))).toEqual(["ada", "bob"]);
  expect(seen).toEqual(["/test.talk.v1.Talk/Say false null", "/test.talk.v1.Talk/Expand true null"]);
});

const never = () => new Promise<never>(() => undefined);

test("timeoutMs is the call's deadline, on the server too", async () => {
  await using talk = await startTalk({ handlers: { say: never } });
  const error = await failure(talk.client.say({}, { timeoutMs: 20 }));
  expect(error.code).toBe(Code.DeadlineExceeded);
});

test("a call without timeoutMs gets the transport's default", async () => {
  await using talk = await startTalk({ defaultTimeoutMs: 60_000 });
  await talk.client.say({});
  await talk.client.say({}, { timeoutMs: 0 });
  const left = talk.contexts.map((context) => context.deadline);
  expect(left[0]?.getTime()).toBeGreaterThan(Date.now() + 30_000);
  expect(left[1]).toBeUndefined();
});

test("an AbortSignal cancels a call on both sides", async () => {
  const serving = Promise.withResolvers<AbortSignal>();
  const hang = (_line: Line, context: ServerContext) => {
    serving.resolve(context.signal);
    return never();
  };
  await using talk = await startTalk({ handlers: { say: hang } });
  const controller = new AbortController();
  const failed = failure(talk.client.say({}, { signal: controller.signal }));
  const signal = await serving.promise;
  const cancelled = new Promise((resolve) => {
    signal.addEventListener("abort", resolve);
  });
  controller.abort();
  expect((await failed).code).toBe(Code.Canceled);
  await cancelled;
});

test("an AbortSignal cancels a stream whose headers have come", async () => {
  const controller = new AbortController();
  await using talk = await startTalk({
    handlers: {
      expand: async function* (line) {
        yield line;
        await never();
      },
    },
  });
  const read = async () => {
    for await (const _ of talk.client.expand({}, { signal: controller.signal })) controller.abort();
  };
  expect((await failure(read())).code).toBe(Code.Canceled);
});

function detailsOf(...details: Any[]): Uint8Array {
  return RpcStatus.encode({ code: 5, message: "no such line", details }).finish();
}

const notFound = () => {
  const detail = anyPack(StringValueSchema, create(StringValueSchema, { value: "line 7" }));
  return new RpcError("NOT_FOUND", "no such line", {
    metadata: new Metadata({ "x-trailer": "t", "grpc-status-details-bin": detailsOf(detail) }),
  });
};

test("an error comes with its code, message, details, headers and trailers", async () => {
  await using talk = await startTalk({
    handlers: {
      say: async (_line, context) => {
        context.sendHeaders(new Metadata({ "x-header": "h" }));
        throw notFound();
      },
    },
  });
  const error = await failure(talk.client.say({}));
  expect(error.code).toBe(Code.NotFound);
  expect(error.rawMessage).toBe("no such line");
  expect(error.findDetails(StringValueSchema).map(({ value }) => value)).toEqual(["line 7"]);
  expect([error.metadata.get("x-header"), error.metadata.get("x-trailer")]).toEqual(["h", "t"]);
  expect(error.cause).toBeInstanceOf(RpcError);
});

test("a stream that fails before its first message fails for its reader", async () => {
  await using talk = await startTalk({
    handlers: {
      // biome-ignore lint/correctness/useYield: it fails before it would
      expand: async function* () {
        throw notFound();
      },
      collect: async () => {
        throw notFound();
      },
    },
  });
  const error = await failure(textsOf(talk.client.expand({})));
  expect([error.code, error.metadata.get("x-trailer")]).toEqual([Code.NotFound, "t"]);
  expect(error.findDetails(StringValueSchema)).toHaveLength(1);
  expect((await failure(talk.client.collect(linesOf("a")))).code).toBe(Code.NotFound);
});

test("details that can't be read leave the status as it is", async () => {
  const metadata = new Metadata({ "grpc-status-details-bin": new Uint8Array([0xff]) });
  await using talk = await startTalk({
    handlers: {
      say: async () => {
        throw new RpcError("ABORTED", "why", { metadata });
      },
    },
  });
  const error = await failure(talk.client.say({}));
  expect([error.code, error.rawMessage, error.details]).toEqual([Code.Aborted, "why", []]);
});

test("a call that finds no server is Unavailable", async () => {
  await using transport = createWeftTransport({ target: "127.0.0.1:1" });
  const client = createClient(Talk, transport);
  expect((await failure(client.say({}))).code).toBe(Code.Unavailable);
  expect((await failure(textsOf(client.expand({})))).code).toBe(Code.Unavailable);
});

test("a transport on a given channel leaves it open", async () => {
  await using talk = await startTalk();
  await using channel = new Channel(talk.address);
  await createWeftTransport({ channel })[Symbol.asyncDispose]();
  const client = createClient(Talk, createWeftTransport({ channel }));
  expect((await client.say({ text: "still" })).text).toBe("still");
});

test("a ConnectError thrown by a handler as rpcErrorOf keeps its details and metadata", async () => {
  await using talk = await startTalk({
    handlers: {
      say: async () => {
        const detail = { desc: StringValueSchema, value: { value: "why" } };
        throw rpcErrorOf(new ConnectError("no", Code.PermissionDenied, { "x-trailer": "t" }, [detail]));
      },
    },
  });
  const error = await failure(talk.client.say({}));
  expect([error.code, error.rawMessage, error.metadata.get("x-trailer")]).toEqual([Code.PermissionDenied, "no", "t"]);
  expect(error.findDetails(StringValueSchema).map(({ value }) => value)).toEqual(["why"]);
});

test("a server that passes on another server's error keeps that server's metadata to itself", async () => {
  await using behind = await startTalk({
    handlers: {
      say: async () => {
        throw notFound();
      },
    },
  });
  await using talk = await startTalk({
    handlers: {
      say: async () => {
        throw rpcErrorOf(await failure(behind.client.say({})));
      },
    },
  });
  const error = await failure(talk.client.say({}));
  expect([error.code, error.metadata.get("x-trailer")]).toEqual([Code.NotFound, null]);
  expect(error.findDetails(StringValueSchema).map(({ value }) => value)).toEqual(["line 7"]);
});

test("a message of any type can be a detail", () => {
  const any = create(AnySchema, { typeUrl: "type.googleapis.com/x", value: new Uint8Array([1]) });
  const error = rpcErrorOf(new ConnectError("no", Code.Internal, undefined, [{ desc: AnySchema, value: any }]));
  const bytes = error.metadata?.get("grpc-status-details-bin") ?? new Uint8Array();
  expect(RpcStatus.decode(bytes).details[0]?.typeUrl).toBe("type.googleapis.com/google.protobuf.Any");
});
