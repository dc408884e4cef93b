import type { ServerHttp2Stream } from "node:http2";
import { HealthCheckResponse } from "@weft/xds-api/grpc/health/v1/health";
import { expect, test } from "vitest";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import { Channel } from "./channel.ts";
import { createClient } from "./client.ts";
import { blobService, rejection } from "./testing/blob-service.ts";
import { answer, frame, startHttp2Server } from "./testing/http2-server.ts";

const request = Buffer.from("request");
const says = (status: 1 | 2) => frame(HealthCheckResponse.encode({ status }).finish());

/** A server that answers calls, and health checks as `onCheck` does; a client that goes by the health of `blob`. */
async function checked(onCheck: (watch: ServerHttp2Stream) => void) {
  const paths: string[] = [];
  const server = await startHttp2Server((stream, headers) => {
    paths.push(String(headers[":path"]));
    if (headers[":path"] === "/grpc.health.v1.Health/Watch") onCheck(stream);
    else answer(stream, frame("ok"));
  });
  const serviceConfig = {
    loadBalancingConfig: [{ round_robin: {} }],
    healthCheckConfig: { serviceName: "blob" },
  };
  const clock = new ManualClock();
  const pool = new SubchannelPool({ clock, random: () => 0.5 });
  const channel = new Channel(`127.0.0.1:${server.port}`, { serviceConfig, idleTimeoutMs: 0 }, pool);
  return {
    paths,
    clock,
    channel,
    server,
    client: createClient(blobService, channel),
    async [Symbol.asyncDispose]() {
      await channel.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function begin(watch: ServerHttp2Stream): void {
  watch.respond({ ":status": 200, "content-type": "application/grpc" });
}

test("calls wait until the server says that it serves", async () => {
  let watch: ServerHttp2Stream | undefined;
  await using it = await checked((stream) => {
    watch = stream;
    begin(stream);
  });
  const reply = it.client.unary(request);
  await expect.poll(() => watch).toBeDefined();
  expect(it.channel.connectivityState()).toBe("CONNECTING");
  watch!.write(says(1));
  expect((await reply).toString()).toBe("ok");
});

test("a server that doesn't serve gets no calls, on a connection that stays", async () => {
  let watch: ServerHttp2Stream | undefined;
  await using it = await checked((stream) => {
    watch = stream;
    begin(stream);
    stream.write(says(1));
  });
  await it.client.unary(request);
  watch!.write(says(2));
  expect(await it.channel.watchConnectivityState("READY")).toBe("TRANSIENT_FAILURE");
  expect((await rejection(it.client.unary(request))).details).toMatch(/is not serving "blob"$/);
  watch!.write(says(1));
  expect((await it.client.unary(request, { waitForReady: true })).toString()).toBe("ok");
  expect(it.server.sessions).toHaveLength(1);
});

test("a server that knows of no health checks counts as healthy", async () => {
  const status = { ":status": 200, "content-type": "application/grpc", "grpc-status": "12" };
  await using it = await checked((stream) => stream.respond(status, { endStream: true }));
  expect((await it.client.unary(request)).toString()).toBe("ok");
  expect(it.paths.filter((path) => path.endsWith("Watch"))).toHaveLength(1);
});

test("a check that fails is made again with back-off", async () => {
  const broken = { ":status": 200, "content-type": "application/grpc", "grpc-status": "13" };
  let checks = 0;
  await using it = await checked((stream) => {
    if (++checks === 1) stream.respond(broken, { endStream: true });
    else {
      begin(stream);
      stream.write(says(1));
    }
  });
  expect((await rejection(it.client.unary(request))).details).toMatch(/the health check of .* failed: INTERNAL/);
  const reply = it.client.unary(request, { waitForReady: true });
  it.clock.advance(1000);
  expect((await reply).toString()).toBe("ok");
});
