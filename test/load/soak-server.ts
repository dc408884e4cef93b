// A child of the soak: two servers of the bytes service, mTLS and plaintext. Speaks with its parent by messages.
import "./live-timers.ts";
import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { RpcError, type ServerContext } from "@weft/grpc";
import { bytesService } from "../../packages/grpc/src/grpc-js/testing/bytes-service.ts";
import { FileSource } from "../../packages/grpc/src/identity/file-source.ts";
import { createServer } from "../../packages/grpc/src/server/server.ts";
import { liveServers } from "../../packages/grpc/src/server/server-registry.ts";
import { holdings, memory } from "./process-state.ts";
import { settle } from "./settle.ts";
import type { ChildSettings, FinalReport, Question, Sample } from "./soak-protocol.ts";

const settings = JSON.parse(process.argv[2] ?? "{}") as ChildSettings;
const warnings: string[] = [];
process.on("warning", (warning) => warnings.push(String(warning)));

let calls = 0;
let running = 0;

/** Counts a handler from its start to its very end, however that comes. */
async function counted<Result>(context: ServerContext, run: () => Promise<Result>): Promise<Result> {
  running++;
  try {
    await prepare(context);
    return await run();
  } finally {
    running--;
    calls++;
  }
}

async function* countedStream(context: ServerContext, run: () => AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  running++;
  try {
    await prepare(context);
    yield* run();
  } finally {
    running--;
    calls++;
  }
}

/** As the caller asks by metadata: compressed, slowly, or not at all. */
async function prepare(context: ServerContext): Promise<void> {
  const { metadata, signal } = context;
  if (metadata.has("compress")) context.setCompression("gzip");
  const delayMs = Number(metadata.get("delay-ms") ?? 0);
  // A caller that goes away ends the wait.
  if (delayMs > 0) await delay(delayMs, undefined, { signal });
  if (metadata.has("fail")) throw new RpcError("ABORTED", "as told");
}

async function* expand(request: Buffer, count: number): AsyncGenerator<Buffer> {
  for (let index = 0; index < count; index++) yield request;
}

const sample = async (): Promise<Sample> => ({ ...(await memory()), calls, warnings });

function open(): Record<string, number> {
  const connections = liveServers().flatMap(({ listeners }) => [...listeners].flatMap((each) => [...each.openOnes]));
  return {
    connections: connections.length,
    calls: connections.reduce((sum, connection) => sum + connection.openCalls, 0),
    handlers: running,
  };
}

/** Called when the client has gone: nothing of it may be left, and after the end nothing at all. */
async function finish(): Promise<FinalReport> {
  await settle(() => Object.values(open()).every((count) => count === 0));
  const left = open();
  await Promise.all(servers.map((server) => server.close()));
  source.close();
  await settle(() => isDeepStrictEqual(holdings(), before));
  return { ...(await sample()), before, after: holdings(), open: left };
}

const answers: Readonly<Record<Question, () => unknown>> = {
  sample,
  rotate: () => source.refresh(),
  pause: () => undefined,
  resume: () => undefined,
  finish,
};
process.on("message", async (question: Question) => {
  process.send?.({ question, answer: await answers[question]() });
});
process.on("disconnect", () => process.exit(1));

const before = holdings();
const source = new FileSource({
  certificateFile: settings.certificateFile,
  privateKeyFile: settings.privateKeyFile,
  caCertificateFile: settings.caFile,
});
await source.refresh();
const drainGraceMs = 2000;
const onHandlerError = () => {
  // Waits that end with their caller fail, and are meant to.
};
const servers = [
  createServer({
    onHandlerError,
    drainGraceMs,
    credentials: {
      kind: "tls",
      tls: {
        identity: source,
        clients: { kind: "certificate", require: true, trust: source, verify: { kind: "chain" } },
      },
    },
  }),
  createServer({ onHandlerError, drainGraceMs }),
];
const ports: number[] = [];
for (const server of servers) {
  server.add(bytesService, {
    unary: (request, context) => counted(context, async () => request),
    collect: (requests, context) =>
      counted(context, async () => {
        const hash = createHash("sha256");
        for await (const request of requests) hash.update(request);
        return hash.digest();
      }),
    expand: (request, context) => countedStream(context, () => expand(request, Number(context.metadata.get("count")))),
    chat: (requests, context) => countedStream(context, () => requests),
  });
  ports.push((await server.listen("127.0.0.1:0")).port);
}
process.send?.({ tlsPort: ports[0], plaintextPort: ports[1] });
