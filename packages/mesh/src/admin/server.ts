import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { type AdminBackend, createAdminApi } from "./api.ts";
import { newAdminToken, removeCredential, writeCredential } from "./credential-file.ts";
import { singleCredential } from "./guard.ts";

export interface AdminServerOptions {
  readonly backend: AdminBackend;
  /** On 127.0.0.1; 0 takes a free one. */
  readonly port: number;
  /** Where the credential for the CLI is left. */
  readonly dataDirectory: string;
  readonly version: string;
  readonly onError: (error: unknown) => void;
}

/** The admin API, listening. */
export interface AdminServer extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Takes the credential away, lets running requests end, and stops listening. */
  close(): Promise<void>;
}

const host = "127.0.0.1";
/** What a running request has left to end in once the API closes. */
const closeGraceMs = 2_000;

/**
 * Serves the admin API on loopback and leaves a credential for it under the data directory.
 *
 * Rejects with the socket's error (EADDRINUSE) where the port is taken.
 */
export async function startAdminServer(options: AdminServerOptions): Promise<AdminServer> {
  const token = newAdminToken();
  let port = 0;
  const api = createAdminApi(options.backend, {
    authenticate: singleCredential(token, { name: "admin", role: "admin" }),
    authorities: () => [`${host}:${port}`, `localhost:${port}`],
    onError: options.onError,
  });
  const server = createAdaptorServer({
    fetch: api.fetch,
    serverOptions: { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 5_000, maxHeaderSize: 16_384 },
    // Globals are the process's own, not this server's to replace.
    overrideGlobalObjects: false,
  }) as Server;
  server.maxConnections = 256;
  server.listen(options.port, host);
  await once(server, "listening");
  server.on("error", options.onError);
  port = (server.address() as AddressInfo).port;
  const url = `http://${host}:${port}`;
  writeCredential(options.dataDirectory, { url, token, pid: process.pid, version: options.version });

  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      removeCredential(options.dataDirectory, token);
      const closed = once(server, "close");
      server.close();
      server.closeIdleConnections();
      const cancel = options.backend.clock.schedule(closeGraceMs, () => server.closeAllConnections());
      await closed;
      cancel();
    })();
    return closing;
  };
  return { url, port, close, [Symbol.asyncDispose]: close };
}
