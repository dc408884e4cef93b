import { HealthDefinition } from "@weft/xds-api/grpc/health/v1/health";
import { expect, test } from "vitest";
import { createClient } from "../channel/client.ts";
import { createServer } from "../server/server.ts";
import { createHealth } from "./health.ts";

async function start() {
  const health = createHealth();
  const server = createServer();
  server.add(HealthDefinition, health.handlers);
  const { address } = await server.listen("127.0.0.1:0");
  const client = createClient(HealthDefinition, address);
  return {
    health,
    client,
    async [Symbol.asyncDispose]() {
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
