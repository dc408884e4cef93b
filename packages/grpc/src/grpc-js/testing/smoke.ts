// A process that calls through grpc-js's surface on our transport: all four kinds, interceptors on both sides, mTLS, metadata,
// an error with details, a graceful end. Prints what it saw as JSON. argv: what stands for @grpc/grpc-js.
import { registerHooks } from "node:module";
import { createTestAuthority } from "../../identity/testing/certificates.ts";

const [module = "@grpc/grpc-js"] = process.argv.slice(2);
registerHooks({
  resolve: (specifier, context, next) => next(specifier === "@grpc/grpc-js" ? module : specifier, context),
});

const grpc = await import("../../grpc-js.ts");
const { bytesService } = await import("./bytes-service.ts");
const { BytesClient, outcomeOf } = await import("./grpc-js-client.ts");
const { startGrpcJsServer } = await import("./grpc-js-server.ts");

const authority = await createTestAuthority();
const root = Buffer.from(authority.rootPem);
const issue = async (name: string) => {
  const { privateKeyPem, certificateChainPem } = await authority.issue({ dns: [name] });
  return { private_key: Buffer.from(privateKeyPem), cert_chain: Buffer.from(certificateChainPem) };
};
const [serverPair, clientPair] = [await issue("localhost"), await issue("client")];

let intercepted = 0;
const server = new grpc.Server({
  interceptors: [
    (_method, call) => {
      intercepted++;
      return new grpc.ServerInterceptingCall(call);
    },
  ],
});
const served = await startGrpcJsServer(
  server,
  {
    unary(call, callback) {
      if (call.request.length === 0) {
        callback({ code: grpc.status.NOT_FOUND, details: "nothing", metadata: call.metadata });
        return;
      }
      const trailers = new grpc.Metadata();
      trailers.set("x-trailer", "t");
      callback(null, Buffer.from(String(call.getAuthContext?.().sslPeerCertificate?.subjectaltname)), trailers);
    },
  },
  grpc.ServerCredentials.createSsl(root, [serverPair], true),
);
const client = new BytesClient(
  new grpc.Client(
    `localhost:${served.port}`,
    grpc.credentials.createSsl(root, clientPair.private_key, clientPair.cert_chain),
    {
      interceptors: [
        (options, next) => {
          intercepted++;
          return new grpc.InterceptingCall(next(options));
        },
      ],
    },
  ),
);

const seen: Record<string, unknown> = {};
const unary = await client.unary(Buffer.from("hi"));
seen["unary"] = [String(unary.messages[0]), unary.status.code, unary.status.metadata.get("x-trailer")];
const metadata = new grpc.Metadata();
metadata.set("x-bin", Buffer.of(1, 2));
const failed = await client.unary(Buffer.of(), { deadline: Date.now() + 5000 }, metadata);
seen["error"] = [failed.status.code, failed.status.details, [...(failed.status.metadata.get("x-bin")[0] as Buffer)]];
const collect = client.collect();
collect.call.write(Buffer.from("a"));
collect.call.write(Buffer.from("b"));
collect.call.end();
seen["collect"] = String((await collect.outcome).messages[0]);
seen["expand"] = (await outcomeOf(client.expand(Buffer.from("abc")))).messages.map(String);
const chat = client.chat();
const chatted = outcomeOf(chat);
chat.write(Buffer.from("x"));
chat.end();
seen["chat"] = (await chatted).messages.map(String);
seen["paths"] = Object.keys(bytesService).length;
seen["intercepted"] = intercepted;
client.client.close();
await new Promise<void>((resolve) => {
  server.tryShutdown(() => resolve());
});
console.log(JSON.stringify(seen));
