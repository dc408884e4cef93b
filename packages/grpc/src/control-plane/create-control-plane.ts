import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { inboundListenerNameTemplate } from "@weft/xds-api";
import type { Node } from "@weft/xds-api/envoy/config/core/v3/base";
import { Channel } from "../channel/channel.ts";
import { packageVersion } from "../channel/user-agent.ts";
import { type ChannelCredentials, insecure, type TlsClientSettings } from "../identity/credentials.ts";
import { FileSource } from "../identity/file-source.ts";
import type { IdentitySource, TlsMaterial } from "../identity/material.ts";
import { firstMaterial } from "../identity/source-ready.ts";
import { parseSpiffeId } from "../identity/spiffe.ts";
import { RpcError } from "../rpc/error.ts";
import { Metadata } from "../rpc/metadata.ts";
import type { Bootstrap, BootstrapCredentials } from "./bootstrap.ts";
import type { ControlPlane, ControlPlaneStatus, RegistrationAccess } from "./control-plane.ts";
import { Joining, type JoiningOptions } from "./joining.ts";
import { joinedNode, nodeName, userAgentName } from "./node.ts";
import type { ControlPlaneSettings } from "./settings.ts";

const closed = () => new RpcError("UNAVAILABLE", "the way to the control plane was closed");

/** The control plane that `settings` name. Joining begins at once; whoever calls closes it. */
export function createControlPlane(settings: ControlPlaneSettings, options: JoiningOptions = {}): ControlPlane {
  const { bootstrap, join } = settings;
  const joining = join === undefined ? undefined : new Joining(join, options);
  if (bootstrap !== undefined) return new BootstrapControlPlane(settings, bootstrap, joining);
  if (joining === undefined) throw new RpcError("UNAVAILABLE", "no control plane is known");
  return new JoinedControlPlane(settings, joining);
}

/** A process that joins by token: who it is comes with its first certificate. */
class JoinedControlPlane implements ControlPlane {
  readonly address: string;
  readonly channel: Channel;
  readonly serverListenerTemplate = inboundListenerNameTemplate;
  readonly registration: RegistrationAccess;
  readonly #settings: ControlPlaneSettings;
  readonly #joining: Joining;
  readonly #end = new AbortController();
  readonly #incarnation = randomUUID();
  readonly #registrationChannel: Channel | undefined;
  #node: Node | undefined;

  constructor(settings: ControlPlaneSettings, joining: Joining) {
    this.#settings = settings;
    this.#joining = joining;
    this.address = joining.address;
    this.channel = joining.channel;
    this.#registrationChannel = registrationChannel(settings);
    this.registration = {
      ...helloParts(settings, this.#incarnation),
      channel: this.#registrationChannel ?? joining.channel,
      ready: async (signal) => (await this.node(signal)).id,
    };
  }

  callMetadata(): Metadata {
    return new Metadata();
  }

  async node(signal?: AbortSignal): Promise<Node> {
    if (this.#node !== undefined) return this.#node;
    const material = await firstMaterial(this.#joining.identity, eitherOf(this.#end.signal, signal));
    this.#node ??= this.#nodeFor(material);
    return this.#node;
  }

  certificateProvider(name: string): IdentitySource | undefined {
    return name === "default" ? this.#joining.identity : undefined;
  }

  status(): ControlPlaneStatus {
    const identity = this.#joining.identity.status();
    const isIn = this.#joining.identity.current() !== undefined;
    const problem = isIn || identity.lastError === undefined ? undefined : this.#problem(identity.lastError);
    return { identity, problem, isRefused: problem !== undefined && this.#joining.isRefused };
  }

  watchStatus(changed: () => void): () => void {
    return this.#joining.identity.watchStatus(changed);
  }

  async close(): Promise<void> {
    this.#end.abort(closed());
    await Promise.all([this.#joining.close(), this.#registrationChannel?.close()]);
  }

  #nodeFor(material: TlsMaterial): Node {
    const workload = parseSpiffeId(material.spiffeId ?? "")?.workload;
    if (workload === undefined) {
      throw new RpcError(
        "INTERNAL",
        `the control plane at ${this.address} signed ${material.spiffeId}, which is no workload`,
      );
    }
    const { address, labels } = this.#settings;
    // Several processes of one machine differ by their incarnation.
    const name = `${nodeName(hostname())}-${this.#incarnation.slice(0, 8)}`;
    return joinedNode({ address, name, namespace: workload.namespace, labels });
  }

  #problem(lastError: string): string {
    return `joining the mesh at ${this.address} failed: ${lastError}`;
  }
}

/** A process that was given gRPC's own bootstrap; one that joins besides does so for registration and for its certificate. */
class BootstrapControlPlane implements ControlPlane {
  readonly address: string;
  readonly channel: Channel;
  readonly serverListenerTemplate: string | undefined;
  readonly registration: RegistrationAccess | undefined;
  readonly #bootstrap: Bootstrap;
  readonly #joining: Joining | undefined;
  readonly #end = new AbortController();
  readonly #providers = new Map<string, FileSource>();
  readonly #credentials: OpenedCredentials;
  readonly #registrationChannel: Channel | undefined;

  constructor(settings: ControlPlaneSettings, bootstrap: Bootstrap, joining: Joining | undefined) {
    this.#bootstrap = bootstrap;
    this.#joining = joining;
    this.address = bootstrap.serverUri;
    this.serverListenerTemplate = bootstrap.serverListenerTemplate;
    this.#credentials = openCredentials(bootstrap.credentials);
    this.channel = openChannel(bootstrap.serverUri, this.#credentials.credentials);
    this.#registrationChannel = registrationChannel(settings);
    this.registration = this.#registrationBy(settings);
  }

  callMetadata(): Metadata {
    return new Metadata();
  }

  async node(signal?: AbortSignal): Promise<Node> {
    eitherOf(this.#end.signal, signal).throwIfAborted();
    return this.#bootstrap.node;
  }

  certificateProvider(name: string): IdentitySource | undefined {
    const open = this.#providers.get(name);
    if (open !== undefined) return open;
    const files = this.#bootstrap.certificateProviders.get(name);
    if (files === undefined) return name === "default" ? this.#joining?.identity : undefined;
    const source = new FileSource(files);
    this.#providers.set(name, source);
    return source;
  }

  status(): ControlPlaneStatus {
    const identity = this.certificateProvider("default")?.status();
    return { identity, problem: undefined, isRefused: false };
  }

  watchStatus(changed: () => void): () => void {
    const stops = [this.#joining?.identity.watchStatus(changed), this.#providers.get("default")?.watchStatus(changed)];
    return () => {
      for (const stop of stops) stop?.();
    };
  }

  async close(): Promise<void> {
    this.#end.abort(closed());
    for (const provider of this.#providers.values()) provider.close();
    this.#credentials.close();
    await Promise.all([this.channel.close(), this.#registrationChannel?.close(), this.#joining?.close()]);
  }

  #registrationBy(settings: ControlPlaneSettings): RegistrationAccess | undefined {
    const channel = this.#registrationChannel ?? this.#joining?.channel;
    if (channel === undefined) return undefined;
    return {
      ...helloParts(settings, randomUUID()),
      channel,
      ready: async (signal) => {
        if (channel === this.#joining?.channel) {
          await firstMaterial(this.#joining.identity, eitherOf(this.#end.signal, signal));
        }
        return (await this.node(signal)).id;
      },
    };
  }
}

function openChannel(serverUri: string, credentials: ChannelCredentials): Channel {
  try {
    // A mesh is reached straight, its control plane (as Joining reaches it) no less than its endpoints.
    return new Channel(serverUri, { credentials, proxy: false, maxBackoffMs: 10_000 });
  } catch (cause) {
    throw new RpcError("UNAVAILABLE", `the bootstrap's server_uri: ${(cause as Error).message}`, { cause });
  }
}

interface OpenedCredentials {
  readonly credentials: ChannelCredentials;
  close(): void;
}

function openCredentials(described: BootstrapCredentials): OpenedCredentials {
  if (described.kind === "insecure") return { credentials: insecure, close: () => undefined };
  const { certificateFile, caCertificateFile } = described.files;
  if (certificateFile === undefined && caCertificateFile === undefined) {
    return {
      credentials: { kind: "tls", tls: { trust: "system", verify: { kind: "hostname" } } },
      close: () => undefined,
    };
  }
  const files = new FileSource(described.files);
  const tls: TlsClientSettings = {
    ...(certificateFile === undefined ? {} : { identity: files }),
    trust: caCertificateFile === undefined ? "system" : files,
    verify: { kind: "hostname" },
  };
  return { credentials: { kind: "tls", tls }, close: () => files.close() };
}

function registrationChannel({ registrationSocket }: ControlPlaneSettings): Channel | undefined {
  return registrationSocket === undefined ? undefined : new Channel(`unix:${registrationSocket}`);
}

function helloParts(
  { address, labels }: ControlPlaneSettings,
  incarnation: string,
): Pick<RegistrationAccess, "incarnation" | "address" | "labels" | "displayName" | "sdk"> {
  return { incarnation, address, labels, displayName: hostname(), sdk: `${userAgentName}/${packageVersion}` };
}

function eitherOf(end: AbortSignal, signal: AbortSignal | undefined): AbortSignal {
  return signal === undefined ? end : AbortSignal.any([end, signal]);
}
