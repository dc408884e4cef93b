import { HealthDefinition } from "@weft/xds-api/grpc/health/v1/health";
import { expect, test } from "vitest";
import { createClient } from "../channel/client.ts";
import { createServer } from "../server/server.ts";
import { createHealth } from "./health.ts";

async function start() {
  const health = createHealth();
  const server = createServer();
  health.addTo(server);
  const { address } = await server.listen("127.0.0.1:0");
  const client = createClient(HealthDefinition, address);
  const bytes = { encode: (message: Buffer) => ({ finish: () => message }), decode: (message: Uint8Array) => message };
  const check = { name: "Check", requestType: bytes, requestStream: false, responseType: bytes, responseStream: false };
  const raw = createClient(
    { name: "Health", fullName: HealthDefinition.fullName, methods: { check } } as const,
    address,
  );
  return {
    health,
    client,
    raw,
    async [Symbol.asyncDispose]() {
      await raw[Symbol.asyncDispose]();
      await client[Symbol.asyncDispose]();
      await server.close(0);
    },
  };
}

test("the server as a whole is SERVING from the start", async () => {
  await using running = await start();
  expect(await running.client.check({ service: "" })).toEqual({ status: 1 });
});

test("a service that was never named is NOT_FOUND to check and SERVICE_UNKNOWN to watch", async () => {
  await using running = await start();
  await expect(running.client.check({ service: "a.B" })).rejects.toMatchObject({ code: "NOT_FOUND" });
  for await (const { status } of running.client.watch({ service: "a.B" })) {
    expect(status).toBe(3);
    break;
  }
});

test("a watcher hears of each change, and only of changes", async () => {
  await using running = await start();
  const seen: number[] = [];
  for await (const { status } of running.client.watch({ service: "a.B" })) {
    seen.push(status);
    if (seen.length === 1) {
      running.health.set("a.B", "SERVING");
      running.health.set("a.B", "SERVING");
    } else if (seen.length === 2) running.health.set("a.B", "NOT_SERVING");
    else break;
  }
  expect(seen).toEqual([3, 1, 2]);
});

test("after a shutdown everything is NOT_SERVING and stays so", async () => {
  await using running = await start();
  running.health.set("a.B", "SERVING");
  running.health.shutDown();
  running.health.set("a.B", "SERVING");
  expect(await running.client.check({ service: "a.B" })).toEqual({ status: 2 });
  expect(await running.client.check({ service: "" })).toEqual({ status: 2 });
});

test("a list names every service with its status", async () => {
  await using running = await start();
  running.health.set("a.B", "NOT_SERVING");
  expect(await running.client.list({})).toEqual({ statuses: { "": { status: 1 }, "a.B": { status: 2 } } });
});

test("a list of more than 100 services is RESOURCE_EXHAUSTED", async () => {
  await using running = await start();
  for (let index = 0; index < 100; index++) running.health.set(`a.B${index}`, "SERVING");
  await expect(running.client.list({})).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test("a watcher of a whole server hears of its shutdown", async () => {
  await using running = await start();
  const seen: number[] = [];
  for await (const { status } of running.client.watch({ service: "" })) {
    seen.push(status);
    if (seen.length === 1) running.health.shutDown();
    else break;
  }
  expect(seen).toEqual([1, 2]);
});

test("a request that is no message is INTERNAL", async () => {
  await using running = await start();
  await expect(running.raw.check(Buffer.from([0xff, 0xff]))).rejects.toMatchObject({ code: "INTERNAL" });
});
