import { createClient, createServer, RpcError } from "@weft/grpc";
import { InterfaceRegistryDefinition, type Up } from "@weft/xds-api/weft/registry/v1/registry";
import { expect, test } from "vitest";
import { Outbox } from "./outbox.ts";
import { registryHandlers } from "./service.ts";
import { bounds, exports, hello, RegistryBench } from "./testing/bench.ts";

test("serves sessions over a real socket, with the peer's address as the instance's", async () => {
  using bench = new RegistryBench({ released: async () => undefined });
  await using server = createServer();
  server.add(
    InterfaceRegistryDefinition,
    registryHandlers(bench.registry, () => bounds()),
  );
  const { port } = await server.listen("127.0.0.1:0");
  await using client = createClient(InterfaceRegistryDefinition, `127.0.0.1:${port}`);
  const up = new Outbox<Up>(100);
  up.push({ message: { $case: "hello", value: hello("one") } });
  up.push({ message: { $case: "exports", value: exports(1) } });
  const down: string[] = [];
  for await (const { message } of client.session(up)) {
    down.push(message?.$case ?? "nothing");
    if (message?.$case === "published") {
      expect(bench.published).toMatchObject([{ address: "127.0.0.1", state: "LIVE" }]);
      up.push({ message: { $case: "drain", value: {} } });
    }
    if (message?.$case === "safeToStop") up.end();
  }
  expect(down).toEqual(["accepted", "published", "safeToStop"]);
});

test("a caller without an identity gets no session", async () => {
  using bench = new RegistryBench();
  await using server = createServer();
  const identify = () => {
    throw new RpcError("UNAUTHENTICATED", "a join token or a client certificate is required");
  };
  server.add(InterfaceRegistryDefinition, registryHandlers(bench.registry, identify));
  const { port } = await server.listen("127.0.0.1:0");
  await using client = createClient(InterfaceRegistryDefinition, `127.0.0.1:${port}`);
  const session = client.session(new Outbox<Up>(1));
  await expect(session[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("an instance whose connection is gone is suspect, and withdrawn after the grace", async () => {
  using bench = new RegistryBench();
  await using server = createServer();
  server.add(
    InterfaceRegistryDefinition,
    registryHandlers(bench.registry, () => bounds()),
  );
  const { port } = await server.listen("127.0.0.1:0");
  const client = createClient(InterfaceRegistryDefinition, `127.0.0.1:${port}`);
  const abort = new AbortController();
  const up = new Outbox<Up>(100);
  up.push({ message: { $case: "hello", value: hello("one") } });
  up.push({ message: { $case: "exports", value: exports(1) } });
  const session = client.session(up, { signal: abort.signal })[Symbol.asyncIterator]();
  await session.next();
  await session.next();
  const suspect = bench.nextPublish();
  abort.abort();
  await suspect;
  expect(bench.uids()).toEqual(["one SUSPECT"]);
  bench.clock.advance(15_000);
  expect(bench.uids()).toEqual([]);
  await client[Symbol.asyncDispose]();
});
