import { createClient, createServer } from "@weft/grpc";
import { message } from "@weft/xds-api";
import { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { AggregatedDiscoveryServiceDefinition } from "@weft/xds-api/envoy/service/discovery/v3/ads";
import { DiscoveryRequest, type DiscoveryResponse } from "@weft/xds-api/envoy/service/discovery/v3/discovery";
import { expect, test } from "vitest";
import { createDiscovery, type Discovery } from "./discovery.ts";
import { discoveryServiceDefinition } from "./response.ts";
import { MemorySource } from "./testing/memory-source.ts";
import { RequestQueue } from "./testing/request-queue.ts";
import { cds, eds } from "./testing/trace.ts";

interface Served extends AsyncDisposable {
  readonly source: MemorySource;
  readonly discovery: Discovery<undefined>;
  open(): { readonly requests: RequestQueue; readonly responses: AsyncIterator<DiscoveryResponse>; cancel(): void };
}

/** The engine behind a real server on loopback, and a client that speaks to it through the generated definition. */
async function serve(): Promise<Served> {
  const source = new MemorySource();
  const discovery = createDiscovery<string, undefined>({
    source,
    admit: () => ({ kind: "admitted", audience: "anyone" }),
    limits: { maxNamesPerType: 100 },
  });
  const server = createServer();
  server.add(discoveryServiceDefinition, {
    streamAggregatedResources: (requests, { peer, signal }) =>
      discovery.handleStream(requests, { principal: undefined, identity: undefined, peer: peer.address, signal }),
  });
  const { port } = await server.listen("127.0.0.1:0");
  const client = createClient(AggregatedDiscoveryServiceDefinition, `127.0.0.1:${port}`);
  return {
    source,
    discovery,
    open() {
      const requests = new RequestQueue();
      const abort = new AbortController();
      const responses = client.streamAggregatedResources(requests, { signal: abort.signal })[Symbol.asyncIterator]();
      return { requests, responses, cancel: () => abort.abort() };
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      discovery.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

function request(fields: Partial<DiscoveryRequest>): DiscoveryRequest {
  return message(DiscoveryRequest, fields);
}

const node = message(Node, { id: "n", userAgentName: "gRPC Test" });

test("a client over a socket is answered, acknowledges and gets what changes", async () => {
  await using served = await serve();
  served.source.update([eds, "a", "1"]);
  const { requests, responses } = served.open();
  requests.push(request({ node, typeUrl: eds, resourceNames: ["a"] }));
  const { value: first } = await responses.next();
  expect(first).toMatchObject({ typeUrl: eds, resources: [{ typeUrl: eds, value: Buffer.from("1") }] });
  const acknowledged = event(served.discovery, "acked");
  requests.push(request({ typeUrl: eds, resourceNames: ["a"], responseNonce: first?.nonce }));
  await acknowledged;
  expect(served.discovery.clients()).toMatchObject([{ peer: expect.stringMatching(/^127\.0\.0\.1:/) }]);
  served.source.update([eds, "a", "2"]);
  const { value: second } = await responses.next();
  expect(Buffer.from(second?.resources[0]?.value ?? []).toString()).toBe("2");
});

test("a large set crosses the socket whole", async () => {
  await using served = await serve();
  const names = Array.from({ length: 60 }, (_, at) => `cluster ${at}`);
  served.source.update(...names.map((name) => [cds, name, name.repeat(2_000)] as const));
  const { requests, responses } = served.open();
  requests.push(request({ node, typeUrl: cds, resourceNames: names }));
  const { value } = await responses.next();
  expect(value?.resources.map((any: { value: Uint8Array }) => any.value.length)).toEqual(
    names.map((name) => name.length * 2_000),
  );
});

test("a refusal reaches the client as its status", async () => {
  await using served = await serve();
  const { requests, responses } = served.open();
  requests.push(request({ node, typeUrl: eds, resourceNames: Array.from({ length: 101 }, (_, at) => String(at)) }));
  await expect(responses.next()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test("a client that cancels is gone, and others stay", async () => {
  await using served = await serve();
  const [first, second] = [served.open(), served.open()];
  for (const { requests, responses } of [first, second]) {
    requests.push(request({ node, typeUrl: eds, resourceNames: ["a"] }));
    await responses.next();
  }
  const gone = event(served.discovery, "disconnected");
  first.responses.next().catch(() => undefined);
  first.cancel();
  await gone;
  expect(served.discovery.clients()).toHaveLength(1);
  expect(served.source.interest(eds, "a")).toBe(1);
});

function event(discovery: Discovery<undefined>, kind: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = discovery.watch((happened) => {
      if (happened.kind !== kind) return;
      stop();
      resolve();
    });
  });
}
