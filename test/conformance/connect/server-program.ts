// A server under test: reads on stdin how it is to listen, tells on stdout where it does, runs until it is told to end.
import { create } from "@bufbuild/protobuf";
import { serverCompatRequestSchema, serverCompatResponseSchema } from "./messages.ts";
import { readMessages, writeMessage } from "./size-delimited.ts";

/** How the server is to listen. */
export interface Settings {
  readonly tls: { readonly privateKeyPem: string; readonly certificateChainPem: string } | undefined;
  /** The roots of clients' certificates; where there are, a client must have one. */
  readonly clientRootsPem: string | undefined;
  readonly maxReceiveMessageBytes: number | undefined;
}

/** Runs the server that `start` makes; `start` resolves with its port. */
export async function serve(start: (settings: Settings) => Promise<number>): Promise<void> {
  process.once("SIGTERM", () => process.exit(0));
  for await (const request of readMessages(serverCompatRequestSchema)) {
    const { useTls, serverCreds, clientTlsCert, messageReceiveLimit } = request;
    const tls = useTls && serverCreds !== undefined ? serverCreds : undefined;
    const port = await start({
      tls: tls === undefined ? undefined : { privateKeyPem: text(tls.key), certificateChainPem: text(tls.cert) },
      clientRootsPem: clientTlsCert.length === 0 ? undefined : text(clientTlsCert),
      maxReceiveMessageBytes: messageReceiveLimit === 0 ? undefined : messageReceiveLimit,
    });
    const pemCert = tls?.cert ?? new Uint8Array();
    writeMessage(serverCompatResponseSchema, create(serverCompatResponseSchema, { host: "127.0.0.1", port, pemCert }));
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}
