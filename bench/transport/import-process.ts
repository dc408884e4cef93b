// argv: stack, order as JSON. From the first import to the first reply; prints what it found as JSON. The packages alone
// are imported within the time, nothing of the bench.
import { deadlineMs, echoDefinition, payload, requestId, token } from "./service.ts";
import type { ClientOrder } from "./workload.ts";

const [name, orderText] = process.argv.slice(2);
const { port } = JSON.parse(orderText ?? "{}") as ClientOrder;
const target = `127.0.0.1:${port}`;
const message = payload(100);

async function promiseClient(): Promise<void> {
  const { createClient, Metadata } = await import("@weft/grpc");
  const client = createClient(echoDefinition, target);
  const metadata = new Metadata();
  metadata.set("authorization", token);
  metadata.set("x-request-id", requestId(0));
  await client.echo(message, { metadata, timeoutMs: deadlineMs });
}

type Echo = (request: Buffer, metadata: unknown, options: object, callback: (error: Error | null) => void) => void;

async function stub(): Promise<void> {
  const grpc = await (name === "grpc-js" ? import("@grpc/grpc-js") : import("@weft/grpc/grpc-js"));
  const Stub = grpc.makeGenericClientConstructor(echoDefinition, "Echo");
  const client = new Stub(target, grpc.credentials.createInsecure());
  const metadata = new grpc.Metadata();
  metadata.set("authorization", token);
  metadata.set("x-request-id", requestId(0));
  const echo = (client["echo"] as unknown as Echo).bind(client);
  await new Promise<void>((resolve, reject) => {
    echo(message, metadata, { deadline: Date.now() + deadlineMs }, (error) => (error ? reject(error) : resolve()));
  });
}

const startedAtMs = performance.now();
await (name === "weft" ? promiseClient() : stub());
console.log(JSON.stringify({ importMs: performance.now() - startedAtMs }));
process.exit(0);
