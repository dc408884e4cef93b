import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import type { ControlPlane } from "../control-plane/control-plane.ts";
import { processControlPlane } from "../control-plane/process-control-plane.ts";
import type { PlainServerCredentials } from "../identity/credentials.ts";
import { RpcError } from "../rpc/error.ts";
import type { BoundAddress, ListeningMode, ListeningPolicy } from "../server/listening-policy.ts";
import type { XdsListening } from "../server/xds-listening.ts";
import { hostPortText } from "../subchannel/address.ts";
import { ListenerPolicy, serverListenerName } from "../xds/listener-policy.ts";
import { type XdsPlane, xdsPlaneOf } from "../xds/xds-plane.ts";
import { type RegisteredListener, RegistrySession } from "./registry-session.ts";

/** What the servers of one control plane share. */
export interface Mesh {
  readonly plane: XdsPlane;
  /** Undefined where nothing is registered. */
  readonly session: RegistrySession | undefined;
}

const meshes = new WeakMap<ControlPlane, Mesh>();

/** The mesh at `controlPlane`; the same object each time. */
export function meshOf(controlPlane: ControlPlane): Mesh {
  let mesh = meshes.get(controlPlane);
  if (mesh === undefined) {
    const { registration, channel } = controlPlane;
    const session =
      registration &&
      new RegistrySession(registration, {
        // Call credentials belong to the channel that they were configured for.
        ...(registration.channel === channel ? { callMetadata: () => controlPlane.callMetadata() } : {}),
        onProblem: ({ message }) => warn(message),
      });
    mesh = { plane: xdsPlaneOf(controlPlane), session };
    meshes.set(controlPlane, mesh);
  }
  return mesh;
}

/** The mesh that this process's environment names. Rejects where it names none. */
async function processMesh(): Promise<Mesh> {
  return meshOf(await processControlPlane());
}

export interface MeshListenerOptions {
  /** Holds where the control plane names no security. */
  readonly fallback: PlainServerCredentials;
  /** Gives up waiting. */
  readonly signal?: AbortSignal;
}

/** The policy of one bound address, and its registration. */
export type MeshListener = Required<ListeningPolicy>;

/**
 * Registers `bound`, waits for the control plane to say how it listens, and turns it SERVING.
 *
 * Resolves with a policy that refuses, and says why in a warning, where the answer is that there is none; rejects where
 * the registration is refused or `signal` aborts.
 */
export async function openMeshListener(
  mesh: Mesh,
  bound: BoundAddress,
  { fallback, signal }: MeshListenerOptions,
): Promise<MeshListener> {
  const { plane, session } = mesh;
  const { serverListenerTemplate } = plane.controlPlane;
  if (bound.port === 0) throw new RpcError("INVALID_ARGUMENT", `an xDS server needs a TCP port, not "${bound.host}"`);
  if (serverListenerTemplate === undefined) {
    throw new RpcError("FAILED_PRECONDITION", "the bootstrap has no server_listener_resource_name_template");
  }
  signal?.throwIfAborted();
  const host = isIP(bound.host) === 0 ? (await lookup(bound.host)).address : bound.host;
  const address = hostPortText({ host, port: bound.port });
  const registered = session?.add({
    portName: bound.portName,
    port: bound.port,
    boundAddress: address,
    interfaces: bound.interfaces,
  });
  const stopWarning = warnWhileWaiting(plane, address);
  let policy: ListenerPolicy | undefined;
  try {
    await unlessAborted(registered?.accepted, signal);
    const listenerName = serverListenerName(serverListenerTemplate, address);
    policy = new ListenerPolicy(plane, { listenerName, host, port: bound.port, fallback });
    await unlessAborted(policy.known, signal);
  } catch (error) {
    policy?.close();
    void registered?.remove(0);
    throw error;
  } finally {
    stopWarning();
  }
  return new RegisteredPolicy(policy, registered, address);
}

/** The policies of servers whose credentials are of kind xds, at this process's control plane. */
export const processXdsListening: XdsListening = (fallback) => async (bound, signal) =>
  openMeshListener(await processMesh(), bound, { fallback, signal });

class RegisteredPolicy implements MeshListener {
  readonly #policy: ListenerPolicy;
  readonly #registered: RegisteredListener | undefined;
  readonly #address: string;
  #left: Promise<void> | undefined;

  constructor(policy: ListenerPolicy, registered: RegisteredListener | undefined, address: string) {
    this.#policy = policy;
    this.#registered = registered;
    this.#address = address;
    policy.watch(() => this.#follow());
    this.#follow();
  }

  get mode(): ListeningMode {
    return this.#policy.mode;
  }

  watch(changed: () => void): void {
    this.#policy.watch(changed);
  }

  close(): void {
    this.#policy.close();
    void this.leave(0);
  }

  async published(limitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, limitMs);
    });
    // A refusal that comes this late was told as a warning; the server serves those who know it.
    const published = this.#registered?.published().catch(() => undefined);
    await Promise.race([published, limit]);
    clearTimeout(timer);
  }

  leave(limitMs: number): Promise<void> {
    this.#left ??= this.#registered?.remove(limitMs) ?? Promise.resolve();
    return this.#left;
  }

  #follow(): void {
    const { mode } = this.#policy;
    this.#registered?.setServing(mode.kind !== "refuse");
    if (mode.kind === "refuse") warn(`the server on ${this.#address} refuses connections: ${mode.reason}`);
  }
}

/** A start that waits for a control plane nobody can reach must not look like a hang. */
function warnWhileWaiting(plane: XdsPlane, address: string): () => void {
  const { controlPlane, client } = plane;
  let last = "";
  const look = (): void => {
    const { connection } = client;
    const problem =
      controlPlane.status().problem ?? (connection.kind === "failed" ? connection.error.details : undefined);
    if (problem === undefined || problem === last) return;
    last = problem;
    warn(`the server on ${address} waits for the control plane at ${controlPlane.address}: ${problem}`);
  };
  const stops = [controlPlane.watchStatus(look), client.watchConnection(look)];
  look();
  return () => {
    for (const stop of stops) stop();
  };
}

function unlessAborted(promise: Promise<void> | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (promise === undefined) return Promise.resolve();
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const aborted = () => reject(signal.reason);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", aborted));
  });
}

function warn(text: string): void {
  process.emitWarning(text, { type: "WeftWarning" });
}
