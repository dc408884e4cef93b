import {
  createChannelz,
  createHealth,
  createReflection,
  createServer,
  type Health,
  insecure,
  type ListeningAddress,
  type Server,
  xdsServerCredentials,
} from "@weft/grpc";
import { EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { type EchoInstance, echoResponse } from "./echo-handler.ts";
import { forwardEcho } from "./forward.ts";
import { parseForwardRequest } from "./forward-request.ts";

/** So that grpcurl needs no .proto files. */
const reflection = createReflection(async () => {
  const { descriptorSet } = await import("@weft/xds-api/descriptors");
  return Buffer.from(descriptorSet, "base64");
});

/** Where to listen, `host:port`; `orElse`: where instead, if that is taken. */
export interface WishedAddress {
  readonly address: string;
  readonly orElse?: string | undefined;
}

export interface EchoOptions {
  readonly instance: EchoInstance;
  /** Addresses served in plaintext, without the mesh: what a tester calls ForwardEcho on. */
  readonly grpc: readonly WishedAddress[];
  /** Addresses whose listeners come from the control plane and that are registered with it. */
  readonly xds: readonly WishedAddress[];
}

export interface Echo {
  readonly grpcPorts: readonly number[];
  readonly xdsPorts: readonly number[];
  /** Stops taking calls, lets running ones end for `graceMs`. */
  close(graceMs?: number): Promise<void>;
}

/**
 * Starts the echo application of Istio's proxyless guide: `proto.EchoTestService` on every address.
 *
 * Rejects, with everything closed again, when an address cannot be bound or the control plane refuses it.
 */
export async function startEcho(options: EchoOptions): Promise<Echo> {
  const servers: Server[] = [];
  const health = createHealth();
  const listenAll = async (addresses: readonly WishedAddress[], xds: boolean): Promise<number[]> => {
    const ports: number[] = [];
    for (const address of addresses) {
      const server = xds ? createServer({ xds: true, credentials: xdsServerCredentials(insecure) }) : createServer();
      servers.push(server);
      const own = { port: 0 };
      addEcho(server, options.instance, own, health);
      // Testers look into the process; who calls through the mesh doesn't.
      if (!xds) createChannelz().addTo(server);
      own.port = (await listen(server, address)).port;
      ports.push(own.port);
    }
    return ports;
  };
  const close = async (graceMs?: number): Promise<void> => {
    health.shutDown();
    await Promise.all(servers.map((server) => server.close(graceMs)));
  };
  try {
    return { grpcPorts: await listenAll(options.grpc, false), xdsPorts: await listenAll(options.xds, true), close };
  } catch (error) {
    await close(0);
    throw error;
  }
}

async function listen(server: Server, { address, orElse }: WishedAddress): Promise<ListeningAddress> {
  try {
    return await server.listen(address);
  } catch (error) {
    const { cause } = error as Error;
    const isTaken = cause instanceof Error && "code" in cause && cause.code === "EADDRINUSE";
    if (orElse === undefined || !isTaken) throw error;
    return await server.listen(orElse);
  }
}

function addEcho(server: Server, instance: EchoInstance, own: { readonly port: number }, health: Health): void {
  server.add(EchoTestServiceDefinition, {
    echo: async (request, context) => echoResponse(request, context, instance, own.port),
    forwardEcho: async (request, context) => await forwardEcho(parseForwardRequest(request), context.signal),
  });
  health.addTo(server);
  reflection.addTo(server);
}
