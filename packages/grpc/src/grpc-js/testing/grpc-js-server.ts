import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type Server,
  ServerCredentials,
} from "@grpc/grpc-js";
import { bytesService } from "./bytes-service.ts";

/** Unchanged callback handlers of `bytesService`. */
export interface BytesHandlers {
  readonly unary: handleUnaryCall<Buffer, Buffer>;
  readonly collect: handleClientStreamingCall<Buffer, Buffer>;
  readonly expand: handleServerStreamingCall<Buffer, Buffer>;
  readonly chat: handleBidiStreamingCall<Buffer, Buffer>;
}

/** Echo, joined, cut into bytes, and back and forth. */
export const echoHandlers: BytesHandlers = {
  unary: (call, callback) => callback(null, call.request),
  collect(call, callback) {
    const all: Buffer[] = [];
    call.on("data", (message: Buffer) => all.push(message));
    call.on("end", () => callback(null, Buffer.concat(all)));
  },
  expand(call) {
    for (const byte of call.request) call.write(Buffer.of(byte));
    call.end();
  },
  chat(call) {
    call.on("data", (message: Buffer) => call.write(message));
    call.on("end", () => call.end());
  },
};

/** `server` (grpc-js's or ours) with `bytesService`, listening. */
export async function startGrpcJsServer(
  server: Server,
  handlers: Partial<BytesHandlers> = {},
  credentials = ServerCredentials.createInsecure(),
): Promise<AsyncDisposable & { readonly server: Server; readonly address: string; readonly port: number }> {
  server.addService(bytesService, { ...echoHandlers, ...handlers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  return { server, port, address: `127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}
