import type { PlainServerCredentials } from "../identity/credentials.ts";
import type { ServiceDefinition } from "../rpc/service-definition.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import { createServer, type ListeningAddress, type Server, type ServerOptions } from "../server/server.ts";
import type { MeshListener } from "./mesh-listener.ts";

/** How long `close` waits for clients to let go of this server, before it says goodbye on the connections itself. */
const leaveMs = 10_000;
/** How long `listen` waits for clients to hear of it. */
const publishMs = 5_000;

/**
 * A server whose connections are treated as the control plane says, and that is registered there while it listens.
 *
 * Nothing of xDS is loaded before the first `listen`. `listen` resolves when clients are told of the server; it waits for
 * a control plane that can't be reached, and rejects where registering is refused.
 */
export class MeshServer implements Server {
  readonly #server: Server;
  readonly #listeners = new Map<number, MeshListener>();
  readonly #closing = new AbortController();

  constructor(options: ServerOptions, fallback: PlainServerCredentials) {
    const { credentials: _, ...others } = options;
    this.#server = createServer({
      ...others,
      listening: async (bound) => {
        const { openMeshListener, processMesh } = await import("./mesh-listener.ts");
        const mesh = await processMesh();
        const listener = await openMeshListener(mesh, bound, { fallback, signal: this.#closing.signal });
        this.#listeners.set(bound.port, listener);
        return listener;
      },
    });
  }

  get services(): readonly string[] {
    return this.#server.services;
  }

  add<Service extends ServiceDefinition>(definition: Service, handlers: ServiceHandlers<Service>): void {
    this.#server.add(definition, handlers);
  }

  async listen(address: string): Promise<ListeningAddress> {
    const bound = await this.#server.listen(address);
    await this.#listeners.get(bound.port)?.published(publishMs);
    return bound;
  }

  async close(graceMs?: number): Promise<void> {
    this.#closing.abort(new Error("the server was closed"));
    await Promise.all([...this.#listeners.values()].map((listener) => listener.leave(leaveMs)));
    await this.#server.close(graceMs);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
