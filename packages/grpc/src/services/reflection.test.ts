import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { ServerCredentials, type ServiceDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import {
  type ExtensionRequest,
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "@weft/xds-api/grpc/reflection/v1/reflection";
import { ServerReflectionDefinition as AlphaDefinition } from "@weft/xds-api/grpc/reflection/v1alpha/reflection";
import { expect, test } from "vitest";
import { createClient } from "../channel/client.ts";
import { Server as GrpcJsServer } from "../grpc-js/server.ts";
import { createServer } from "../server/server.ts";
import { createHealth } from "./health.ts";
import { createReflection, type DescriptorSource } from "./reflection.ts";
import { shopService, shopSet } from "./testing/shop.ts";

type Question = NonNullable<ServerReflectionRequest["messageRequest"]>;

/** A server with reflection over `sources`, and what asks it, each time in one stream. */
async function start(...sources: DescriptorSource[]) {
  const server = createServer({ onHandlerError: () => undefined });
  createReflection(...sources).addTo(server);
  createHealth().addTo(server);
  const { address } = await server.listen("127.0.0.1:0");
  const v1 = createClient(ServerReflectionDefinition, address);
  const alpha = createClient(AlphaDefinition, address);
  const ask = async (client: typeof v1 | typeof alpha, questions: readonly Question[]) => {
    async function* requests() {
      for (const messageRequest of questions) yield { host: "h", messageRequest };
    }
    const answers: ServerReflectionResponse[] = [];
    for await (const answer of client.serverReflectionInfo(requests())) answers.push(answer);
    return answers;
  };
  return {
    server,
    ask: (...questions: Question[]) => ask(v1, questions),
    askAlpha: (...questions: Question[]) => ask(alpha, questions),
    async [Symbol.asyncDispose]() {
      await Promise.all([v1[Symbol.asyncDispose](), alpha[Symbol.asyncDispose]()]);
      await server.close(0);
    },
  };
}

const symbol = (value: string): Question => ({ $case: "fileContainingSymbol", value });
const file = (value: string): Question => ({ $case: "fileByFilename", value });
const services: Question = { $case: "listServices", value: "*" };
const extension = (value: ExtensionRequest): Question => ({ $case: "fileContainingExtension", value });
const numbersOf = (value: string): Question => ({ $case: "allExtensionNumbersOfType", value });

/** The names of the files in each answer, or its error code. */
function outcomes(answers: readonly ServerReflectionResponse[]): (string[] | number | undefined)[] {
  return answers.map(({ messageResponse }) => {
    if (messageResponse?.$case === "errorResponse") return messageResponse.value.errorCode;
    if (messageResponse?.$case !== "fileDescriptorResponse") return undefined;
    return messageResponse.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  });
}

const shop = "shop/shop.proto";
const item = "shop/item.proto";
const notFound = 5;

test("lists every service that the server really has, also those added later and those without descriptors", async () => {
  await using running = await start();
  running.server.add({ name: "Late", fullName: "late.Late", methods: {} }, {});
  const [answer] = await running.ask(services);
  expect(answer?.messageResponse).toEqual({
    $case: "listServicesResponse",
    value: {
      service: [
        { name: "grpc.health.v1.Health" },
        { name: "grpc.reflection.v1.ServerReflection" },
        { name: "grpc.reflection.v1alpha.ServerReflection" },
        { name: "late.Late" },
      ],
    },
  });
});

test("finds the file of every kind of symbol", async () => {
  await using running = await start(shopSet);
  const names = ["shop.Shop", "shop.Shop.Buy", "shop.Receipt", "shop.Mood", "shop.GOOD", "shop.colour"];
  for (const name of [...names, "shop.Receipt.tip"]) {
    expect([name, ...outcomes(await running.ask(symbol(name)))]).toEqual([name, [shop, item]]);
  }
  const ofItem = ["Item", "Item.price", "Item.cost", "Item.Part", "Item.Part.weight", "Item.Size", "Item.SMALL"];
  for (const name of ofItem) {
    expect([name, ...outcomes(await running.ask(symbol(`shop.${name}`)))]).toEqual([name, [item]]);
  }
});

test("hands descriptors out as they were given", async () => {
  await using running = await start(shopSet);
  const [answer] = await running.ask(file(item));
  expect(answer?.messageResponse?.$case).toBe("fileDescriptorResponse");
  const { value } = answer!.messageResponse as { value: { fileDescriptorProto: Uint8Array[] } };
  const described = shopService.file.dependencies[0]!.proto;
  expect(fromBinary(FileDescriptorProtoSchema, value.fileDescriptorProto[0]!)).toEqual(described);
});

test("sends what a file imports once in a stream, and the file asked for always", async () => {
  await using running = await start(shopSet);
  const answers = await running.ask(file(shop), symbol("shop.Shop"), file(item));
  expect(outcomes(answers)).toEqual([[shop, item], [shop], [item]]);
});

test("what isn't there is NOT_FOUND inside of the stream, which goes on", async () => {
  await using running = await start(shopSet);
  const answers = await running.ask(
    file("none.proto"),
    symbol("shop.None"),
    symbol(""),
    extension({ containingType: "shop.Item", extensionNumber: 130 }),
    numbersOf("shop.None"),
    file(item),
  );
  expect(outcomes(answers)).toEqual([notFound, notFound, notFound, notFound, notFound, [item]]);
});

test("answers say which question they answer", async () => {
  await using running = await start();
  const [answer] = await running.ask(symbol("a.B"));
  expect(answer).toMatchObject({ validHost: "h", originalRequest: { host: "h", messageRequest: symbol("a.B") } });
});

test("knows extensions, at the top and within messages", async () => {
  await using running = await start(shopSet);
  const answers = await running.ask(
    extension({ containingType: "shop.Item", extensionNumber: 110 }),
    extension({ containingType: "shop.Item", extensionNumber: 120 }),
    numbersOf("shop.Item"),
    numbersOf("shop.Plain"),
  );
  expect(outcomes(answers.slice(0, 2))).toEqual([[shop, item], [shop]]);
  expect(answers.slice(2).map(({ messageResponse }) => messageResponse?.value)).toEqual([
    { baseTypeName: "shop.Item", extensionNumber: [110, 120] },
    { baseTypeName: "shop.Plain", extensionNumber: [] },
  ]);
});

test("a question of no known kind is INVALID_ARGUMENT", async () => {
  await using running = await start();
  // An empty request: the kind is missing.
  const asked = running.ask(undefined as unknown as Question);
  await expect(asked).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("a name too long to be one is refused", async () => {
  await using running = await start();
  expect(outcomes(await running.ask(symbol("a".repeat(5000))))).toEqual([3]);
});

test("v1alpha answers as v1 does", async () => {
  await using running = await start(shopSet);
  expect(outcomes(await running.askAlpha(symbol("shop.Shop")))).toEqual([[shop, item]]);
});

test("describes the services of this package, with what they import", async () => {
  await using running = await start();
  const answers = await running.ask(
    symbol("grpc.health.v1.Health.Check"),
    symbol("grpc.reflection.v1.ServerReflection"),
    symbol("grpc.reflection.v1alpha.ServerReflection"),
    symbol("grpc.channelz.v1.Channelz"),
    symbol("proto.EchoTestService"),
  );
  expect(outcomes(answers)).toEqual([
    ["grpc/health/v1/health.proto"],
    ["grpc/reflection/v1/reflection.proto"],
    ["grpc/reflection/v1alpha/reflection.proto"],
    [
      "grpc/channelz/v1/channelz.proto",
      "google/protobuf/any.proto",
      "google/protobuf/duration.proto",
      "google/protobuf/timestamp.proto",
      "google/protobuf/wrappers.proto",
    ],
    notFound,
  ]);
});

test("takes descriptors of protobuf-es, with what they import", async () => {
  await using running = await start(shopService);
  expect(outcomes(await running.ask(symbol("shop.Shop")))).toEqual([[shop, item]]);
});

test("takes a package definition of proto-loader", async () => {
  await using running = await start(loadSync(join(import.meta.dirname, "testing", "shop.proto")));
  const [files] = outcomes(await running.ask(symbol("shop.Shop.Buy")));
  expect(files).toHaveLength(2);
  expect(outcomes(await running.ask(symbol("google.protobuf.Timestamp")))).toEqual([[(files as string[])[1]]]);
});

test("takes a service of a package definition", async () => {
  const definition = loadSync(join(import.meta.dirname, "testing", "shop.proto"));
  await using running = await start(definition["shop.Shop"] as Record<string, unknown>);
  expect(outcomes(await running.ask(symbol("shop.Item")))[0]).not.toBe(notFound);
});

test("takes the path of a descriptor set, and throws at once where there is none", async () => {
  const folder = mkdtempSync(join(tmpdir(), "weft-reflection-"));
  try {
    const path = join(folder, "shop.binpb");
    writeFileSync(path, shopSet);
    await using running = await start(path);
    expect(outcomes(await running.ask(file(item)))).toEqual([[item]]);
    expect(() => createReflection(join(folder, "none.binpb"))).toThrow("ENOENT");
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("takes a function, and calls it with the first request only", async () => {
  let calls = 0;
  const source = async () => {
    calls++;
    return shopSet;
  };
  await using running = await start(source);
  expect(calls).toBe(0);
  expect(outcomes(await running.ask(file(item)))).toEqual([[item]]);
  expect(outcomes(await running.ask(file(item)))).toEqual([[item]]);
  expect(calls).toBe(1);
});

test("a definition without descriptors fails the call, not the server", async () => {
  await using running = await start({ "shop.Shop": { buy: { requestType: {} } } });
  await expect(running.ask(services)).rejects.toMatchObject({ code: "UNKNOWN" });
});

test("is served by a server of the grpc-js surface, beside what that has", async () => {
  const definition = loadSync(join(import.meta.dirname, "testing", "shop.proto"));
  const server = new GrpcJsServer();
  server.addService(definition["shop.Shop"] as ServiceDefinition, { Buy: () => undefined });
  createReflection(definition).addTo(server);
  createHealth().addTo(server);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
    error === null ? resolve(bound) : reject(error),
  );
  await using client = createClient(ServerReflectionDefinition, `127.0.0.1:${await promise}`);
  async function* questions() {
    yield { host: "", messageRequest: services };
  }
  for await (const { messageResponse } of client.serverReflectionInfo(questions())) {
    expect(messageResponse?.value).toEqual({
      service: [
        { name: "grpc.health.v1.Health" },
        { name: "grpc.reflection.v1.ServerReflection" },
        { name: "grpc.reflection.v1alpha.ServerReflection" },
        { name: "shop.Shop" },
      ],
    });
  }
  server.forceShutdown();
});
