/**
 * The agent: what lets an application of any language into the mesh with nothing but a bootstrap file.
 *
 *   application ── ADS over a unix socket ──► agent ── ADS, authenticated ──► control plane
 *        └── certificate files ◄── agent ◄── CSR ──┘   └── registry session, for the ports it was told of
 */
import { chmodSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "@weft/grpc";
import { type ControlPlane, firstMaterial, type RegisteredListener, RegistrySession } from "@weft/grpc/platform";
import { adsBytes, adsRelay, registryBytes, registryRelay } from "./ads-relay.ts";
import { type AgentPaths, agentBootstrap } from "./bootstrap.ts";
import { certificatePaths, writeCertificates } from "./certificate-files.ts";
import { claimHome } from "./home.ts";
import { portAccepts } from "./port-probe.ts";

/** A port that the application will listen on. */
export interface ApplicationPort {
  /** What Service ports are matched by. */
  readonly name: string;
  readonly port: number;
  /** Full names of the interfaces that are served there. */
  readonly interfaces: readonly string[];
}

export interface AgentOptions {
  /** How the agent itself reaches the mesh. The agent doesn't close it. */
  readonly controlPlane: ControlPlane;
  /** The agent's own directory, made 0700: socket, certificates and bootstrap. They are removed on close. */
  readonly home: string;
  readonly ports: readonly ApplicationPort[];
  /** Gives up waiting for the first certificate. */
  readonly signal: AbortSignal;
  readonly onProblem: (message: string) => void;
}

export interface Agent {
  readonly bootstrapPath: string;
  /** What the application needs in its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Takes the application out of every endpoint list; at the latest after `limitMs`. It may stop then. */
  drain(limitMs: number): Promise<void>;
  close(): Promise<void>;
}

/** Starts an agent; resolves when an application may start: certificate written, socket listening, bootstrap there. */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { controlPlane, signal } = options;
  const identity = controlPlane.certificateProvider("default");
  if (identity === undefined) throw new Error("the agent's control plane gives it no certificate");
  await using started = new AsyncDisposableStack();
  const home = await claimHome(options.home);
  started.defer(() => home.leave());

  const node = await controlPlane.node(signal);
  writeCertificates(home.path, await firstMaterial(identity, signal));
  started.defer(
    identity.watch(() => {
      const material = identity.current();
      if (material === undefined) return;
      try {
        writeCertificates(home.path, material);
      } catch (error) {
        // A full disk: the application keeps the pair it has, and the next renewal tries again.
        options.onProblem(`the renewed certificate could not be written: ${(error as Error).message}`);
      }
    }),
  );

  const paths: AgentPaths = {
    xdsSocket: home.xdsSocket,
    bootstrap: home.bootstrap,
    ...certificatePaths(home.path),
  };
  const server = started.use(createServer());
  server.add(adsBytes, { streamAggregatedResources: adsRelay(controlPlane) });
  if (controlPlane.registration !== undefined) {
    server.add(registryBytes, { session: registryRelay(controlPlane.registration.channel) });
  }
  await server.listen(`unix:${paths.xdsSocket}`);
  chmodSync(paths.xdsSocket, 0o600);
  rmSync(paths.bootstrap, { force: true });
  writeFileSync(paths.bootstrap, agentBootstrap(node, paths), { mode: 0o600 });

  const registered = started.adopt(register(options), ({ stop }) => stop());
  const running = started.move();
  return {
    bootstrapPath: paths.bootstrap,
    environment: { GRPC_XDS_BOOTSTRAP: paths.bootstrap, WEFT_REGISTRATION: `unix:${paths.xdsSocket}` },
    drain: (limitMs) => registered.leave(limitMs),
    close: () => running.disposeAsync(),
  };
}

interface Registrations {
  leave(limitMs: number): Promise<void>;
  stop(): void;
}

/** Registers the application's ports: STARTING at once, so that its listeners can be computed, SERVING when they accept. */
function register({ controlPlane, ports, onProblem }: AgentOptions): Registrations {
  const access = controlPlane.registration;
  if (access === undefined || ports.length === 0) return { leave: async () => undefined, stop: () => undefined };
  const stopped = new AbortController();
  const session = new RegistrySession(access, { onProblem: ({ message }) => onProblem(message) });
  const listeners = ports.map(({ name, port, interfaces }) => {
    const listener = session.add({ portName: name, port, boundAddress: `0.0.0.0:${port}`, interfaces });
    serveWhenUp(listener, port, stopped.signal);
    return listener;
  });
  return {
    leave: async (limitMs) => {
      await Promise.all(listeners.map((listener) => listener.remove(limitMs)));
    },
    stop: () => {
      stopped.abort();
      session.close();
    },
  };
}

function serveWhenUp(listener: RegisteredListener, port: number, signal: AbortSignal): void {
  portAccepts(port, signal).then(
    () => listener.setServing(true),
    () => undefined, // The agent stopped before the application was up.
  );
}
