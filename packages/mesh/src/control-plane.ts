/**
 * The control plane, put together: the only file that sees every part. It wires and decides nothing.
 *
 *   files, store ─► sources ─► snapshot ─► catalog ─► discovery ─► ADS streams (15012 TLS, 15010 plaintext if asked)
 *                      ▲                                │
 *   sessions ─► registry ◄──────── who still holds what ┘        authority ◄─ CSRs;  admin API ─► all of them
 */
import { hostname } from "node:os";
import { join } from "node:path";
import { createServer, type Server, type ServerContext } from "@weft/grpc";
import { type Clock, firstMaterial, RotatingSource, staticRoots, type TlsServerSettings } from "@weft/grpc/platform";
import { typeUrls } from "@weft/xds-api";
import { IstioCertificateServiceDefinition } from "@weft/xds-api/istio/v1/auth/ca";
import { InterfaceRegistryDefinition } from "@weft/xds-api/weft/registry/v1/registry";
import type { StatusReport } from "./admin/api-types.ts";
import { type AdminServer, startAdminServer } from "./admin/server.ts";
import { authenticate } from "./authn/authenticate.ts";
import type { Identity } from "./authn/identity.ts";
import { type Authority, openAuthority } from "./ca/authority.ts";
import { createCertificate } from "./ca/certificate-service.ts";
import { SigningBudgets } from "./ca/signing-budgets.ts";
import { readSigningRequest } from "./ca/signing-request.ts";
import { admitNode } from "./catalog/admission.ts";
import { Catalog } from "./catalog/catalog.ts";
import { meshTranslators } from "./catalog/mesh-translators.ts";
import { createDiscovery, type Discovery } from "./discovery/discovery.ts";
import { discoveryServiceDefinition } from "./discovery/response.ts";
import { defaultMeshSettings, type MeshSettings } from "./model/mesh-settings.ts";
import { Registry } from "./registry/registry.ts";
import { registryHandlers } from "./registry/service.ts";
import { openSources, type Sources } from "./sources/sources.ts";
import { JoinTokens } from "./store/join-tokens.ts";
import type { Store } from "./store/store.ts";
import type { Audience } from "./translate/audience.ts";
import { version } from "./version.ts";

/** Far above what any client asks; gRPC's own 4 MiB are room for replies, and replies go the other way here. */
const largestMessageBytes = 1024 * 1024;

export interface ControlPlaneOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Directories of YAML. */
  readonly directories: readonly string[];
  /** Where the authority's keys and the admin credential are kept. */
  readonly dataDirectory: string;
  readonly trustDomain: string;
  /** Address that the gRPC ports are bound to. */
  readonly host: string;
  /** 0 takes a free port. */
  readonly tlsPort: number;
  /** Plaintext ADS; undefined leaves it closed. */
  readonly xdsPort: number | undefined;
  readonly adminPort: number;
  /** Told of what went wrong inside, where nobody else is. */
  readonly onError: (error: unknown) => void;
}

/** A running control plane. */
export interface ControlPlane extends AsyncDisposable {
  readonly tlsPort: number;
  readonly xdsPort: number | undefined;
  readonly adminUrl: string;
  readonly sources: Sources;
  /** Whether this start made the root of the trust domain. */
  readonly hasNewRoot: boolean;
  status(): StatusReport;
  close(): Promise<void>;
}

/** Starts every part. Rejects, with what had started closed again, where one can't: a port in use (EADDRINUSE), AuthorityError. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { store, clock } = options;
  await using started = new AsyncDisposableStack();
  const startedAtMs = clock.now();
  const settings: MeshSettings = { ...defaultMeshSettings, trustDomain: options.trustDomain };
  const nowMs = (): number => clock.now();
  const authority = await openAuthority({
    directory: join(options.dataDirectory, "ca"),
    trustDomain: options.trustDomain,
    clock,
    onError: options.onError,
  });
  started.defer(() => authority.close());
  const tokens = new JoinTokens({ table: store.tokens, rootDer: authority.rootDer, clock });
  const sources = started.use(await openSources({ store, clock, directories: options.directories, settings }));
  const catalog = new Catalog<Audience>(sources.snapshot, meshTranslators);
  const discovery = createDiscovery<Audience, Identity | undefined>({
    source: catalog,
    now: nowMs,
    admit: (node, { principal }) => admitNode(node, principal, settings),
  });
  sources.watch(({ snapshot, changed }) => catalog.update(snapshot, changed));

  const registry = new Registry({
    store,
    clock,
    onError: options.onError,
    publish: (workloads) => sources.setWorkloads(workloads),
    hostsOf: (workload) => sources.snapshot.hostsOf(workload),
    resolvesAsHost: (name, namespace) => sources.snapshot.resolvesAsHost(name, namespace),
    released: (_workload, signal) => discovery.whenDelivered(typeUrls.clusterLoadAssignment, signal),
  });
  await sources.setWorkloads(registry.workloads());

  const identifyFor = (joins: boolean) => (context: ServerContext) =>
    authenticate(
      { authorization: context.metadata.get("authorization"), peer: peerOf(context) },
      { trustDomain: options.trustDomain, nowMs, findToken: (hash) => tokens.find(hash), joins },
    );
  const identify = identifyFor(false);
  const identifyJoining = identifyFor(true);
  const own = started.adopt(ownIdentity(authority, options.host, clock), (source) => source.close());
  await firstMaterial(own, AbortSignal.timeout(10_000));
  const tls: TlsServerSettings = {
    identity: own,
    clients: {
      kind: "certificate",
      // Who joins has none yet; each service says itself whom it serves.
      require: false,
      trust: staticRoots(authority.rootPem),
      verify: { kind: "spiffe", allowed: { kind: "trust-domains", trustDomains: [options.trustDomain] } },
    },
  };

  const limits = { maxReceiveMessageBytes: largestMessageBytes, onHandlerError: options.onError };
  const secure = started.use(createServer({ ...limits, credentials: { kind: "tls", tls } }));
  addDiscovery(secure, discovery, identify);
  const signing = { authority, budgets: new SigningBudgets(), nowMs };
  secure.add(IstioCertificateServiceDefinition, {
    createCertificate: (request, context) =>
      createCertificate(request, identifyJoining(context), { ...signing, join: (id, key) => tokens.join(id, key) }),
  });
  secure.add(InterfaceRegistryDefinition, registryHandlers(registry, identify));
  const address = (port: number): string =>
    `${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`;
  const tlsPort = (await secure.listen(address(options.tlsPort))).port;

  let xdsPort: number | undefined;
  if (options.xdsPort !== undefined) {
    const plain = started.use(createServer(limits));
    addDiscovery(plain, discovery, () => undefined);
    xdsPort = (await plain.listen(address(options.xdsPort))).port;
  }

  const status = (): StatusReport => ({
    version,
    pid: process.pid,
    startedAtMs,
    trustDomain: options.trustDomain,
    ports: [
      { name: "tls", address: address(tlsPort) },
      ...(xdsPort === undefined ? [] : [{ name: "xds", address: address(xdsPort) }]),
      { name: "admin", address: new URL(admin.url).host },
    ],
    certificates: [
      ...authority.certificates(),
      {
        name: "control-plane",
        subject: own.current()?.spiffeId ?? "",
        notAfterMs: own.current()?.notAfter.getTime() ?? 0,
      },
    ],
    clients: discovery.clients(),
    workloads: registry.workloads(),
    interfaces: registry.interfaces(),
    unanswerable: catalog.unanswerable(),
    diagnostics: sources.diagnostics,
  });
  const admin: AdminServer = started.use(
    await startAdminServer({
      backend: { store, sources, registry, tokens, clock, status },
      port: options.adminPort,
      dataDirectory: options.dataDirectory,
      version,
      onError: options.onError,
    }),
  );

  // Undone first: the streams end, so that the servers below have nothing to wait for.
  started.defer(() => {
    registry.close();
    discovery.close();
  });
  const running = started.move();
  const close = (): Promise<void> => running.disposeAsync();
  const hasNewRoot = authority.isNew;
  return { tlsPort, xdsPort, adminUrl: admin.url, sources, hasNewRoot, status, close, [Symbol.asyncDispose]: close };
}

/** ADS for whoever `identify` knows; undefined is a client of the plaintext port. */
function addDiscovery(
  server: Server,
  discovery: Discovery<Identity | undefined>,
  identify: (context: ServerContext) => Identity | undefined,
): void {
  server.add(discoveryServiceDefinition, {
    streamAggregatedResources: (requests, context) => {
      const principal = identify(context);
      return discovery.handleStream(requests, {
        principal,
        identity: principal?.spiffeId,
        peer: context.peer.address,
        signal: context.signal,
      });
    },
  });
}

function peerOf({ peer: { identity, certificate } }: ServerContext): Parameters<typeof authenticate>[0]["peer"] {
  return identity === undefined || certificate === undefined ? undefined : { id: identity, certificate };
}

/** The certificate of the TLS port, renewed by the authority beside it. */
function ownIdentity(authority: Authority, host: string, clock: Clock): RotatingSource {
  const hosts = [...new Set(["localhost", "127.0.0.1", "::1", hostname(), host])].filter(
    (name) => name !== "0.0.0.0" && name !== "::",
  );
  return new RotatingSource({
    clock,
    sign: async (csrPem) => {
      const request = await readSigningRequest(csrPem);
      if ("problem" in request) throw new Error(request.problem);
      return await authority.signOwn(request, hosts);
    },
  });
}
