import { mkdtempSync, rmSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Registry } from "../../registry/registry.ts";
import { openSources } from "../../sources/sources.ts";
import { JoinTokens } from "../../store/join-tokens.ts";
import { openStore } from "../../store/store.ts";
import { ManualClock } from "../../store/testing/manual-clock.ts";
import type { AdminBackend } from "../api.ts";
import { type AdminCredential, readCredential } from "../credential-file.ts";
import { type AdminServer, startAdminServer } from "../server.ts";

/** One raw answer. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A running admin API over a real store and real sources; disposed whole. */
export class AdminBench implements AsyncDisposable {
  readonly data: string;
  readonly server: AdminServer;
  readonly backend: AdminBackend;
  readonly errors: unknown[];
  readonly #root: string;

  private constructor(root: string, backend: AdminBackend, server: AdminServer, errors: unknown[]) {
    this.#root = root;
    this.data = backend.store.directory;
    this.backend = backend;
    this.server = server;
    this.errors = errors;
  }

  static async start(): Promise<AdminBench> {
    const root = mkdtempSync(join(tmpdir(), "weft-admin-"));
    const clock = new ManualClock();
    const errors: unknown[] = [];
    const opened = openStore({ directory: join(root, "data"), clock });
    if (opened.kind === "refused") throw new Error(opened.problem.message);
    const { store } = opened;
    const sources = await openSources({ store, clock, directories: [] });
    const registry = new Registry({
      store,
      clock,
      publish: (workloads) => sources.setWorkloads(workloads),
      hostsOf: () => [],
      resolvesAsHost: () => false,
      released: async () => undefined,
      onError: (error) => errors.push(error),
    });
    const backend: AdminBackend = {
      store,
      sources,
      registry,
      clock,
      tokens: new JoinTokens({ table: store.tokens, rootDer: Buffer.from("root"), clock }),
      status: () => ({
        version: "0.0.0",
        pid: process.pid,
        startedAtMs: 0,
        trustDomain: "cluster.local",
        ports: [],
        certificates: [],
        clients: [],
        workloads: registry.workloads(),
        interfaces: registry.interfaces(),
        unanswerable: [],
        diagnostics: sources.diagnostics,
      }),
    };
    const server = await startAdminServer({
      backend,
      port: 0,
      dataDirectory: store.directory,
      version: "0.0.0",
      onError: (error) => errors.push(error),
    });
    return new AdminBench(root, backend, server, errors);
  }

  get credential(): AdminCredential {
    const found = readCredential(this.data);
    if ("severity" in found) throw new Error(found.message);
    return found;
  }

  /** A request as any program may make it; by default a good one. A header of undefined is left out. */
  async ask(
    method: string,
    path: string,
    options: { readonly headers?: Readonly<Record<string, string | undefined>>; readonly body?: string } = {},
  ): Promise<Answer> {
    const headers: Record<string, string | undefined> = {
      authorization: `Bearer ${this.credential.token}`,
      "x-weft-request": "1",
      "content-type": "application/json",
      // Of a DELETE's body node announces nothing by itself.
      ...(options.body === undefined || options.headers?.["transfer-encoding"] !== undefined
        ? {}
        : { "content-length": String(Buffer.byteLength(options.body)) }),
      ...options.headers,
    };
    const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined));
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const call: ClientRequest = request(
        {
          host: "127.0.0.1",
          port: this.server.port,
          method,
          path,
          headers: given as Record<string, string>,
          agent: false,
        },
        resolve,
      );
      call.on("error", reject);
      call.end(options.body);
    });
    return { status: response.statusCode ?? 0, headers: response.headers, body: await text(response) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close();
    this.backend.registry.close();
    await this.backend.sources.close();
    this.backend.store.close();
    rmSync(this.#root, { recursive: true, force: true });
  }
}
