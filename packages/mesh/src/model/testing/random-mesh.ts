import fc from "fast-check";
import type { Resource } from "../resource.ts";
import type { MeshContents } from "../snapshot.ts";
import type { Workload } from "../workload.ts";
import { destinationRule, listener, peerAuthentication, service, virtualService, workload } from "./mesh.ts";

// Small meshes over few names, so that everything collides with everything.

/** Names that the random meshes are made of, and some that nothing has. */
export const names = {
  namespaces: ["shop", "other", "weft-system"],
  services: ["echo", "pay"],
  interfaces: ["greet.v1.Greeter", "echo", "echo.shop", "grpc.health.v1.Health"],
  subsets: ["v1", "v2"],
} as const;

const namespace = fc.constantFrom(...names.namespaces);
const host = fc.constantFrom(
  ...["echo", "pay", "echo.shop", "pay.other.svc", "echo.shop.svc.cluster.local", "pay.shop.svc.cluster.local"],
  ...["virtual.example.com", "greet.v1"],
);
const version = fc.record({ version: fc.constantFrom("1", "2") }, { requiredKeys: [] });
const app = fc.record({ app: fc.constantFrom(...names.services) });
const createdAtMs = fc.integer({ min: 0, max: 2 });

const servicePort = fc.record({
  name: fc.constantFrom("grpc", "http", "admin"),
  port: fc.constantFrom(80, 7070),
  targetPort: fc.constantFrom<(number | string)[]>(17070, 9999, "admin"),
  protocol: fc.constantFrom("TCP" as const, "TCP" as const, "UDP" as const),
});

const serviceResource = fc
  .record({
    name: fc.constantFrom(...names.services),
    namespace,
    selector: fc.option(app, { nil: undefined }),
    ports: fc.uniqueArray(servicePort, { minLength: 1, maxLength: 2, selector: ({ port }) => port }),
  })
  .map(({ name, namespace, selector, ports }) =>
    service(name, { namespace, spec: { ports, ...(selector === undefined ? {} : { selector }) } }),
  );

const trafficPolicy = fc.record(
  { tlsMode: fc.constantFrom("DISABLE" as const, "ISTIO_MUTUAL" as const) },
  { requiredKeys: [] },
);

const ruleResource = fc
  .record({
    name: fc.constantFrom("r1", "r2"),
    namespace,
    createdAtMs,
    host,
    subsets: fc.uniqueArray(
      fc.record(
        { name: fc.constantFrom(...names.subsets), labels: version, trafficPolicy },
        { requiredKeys: ["name", "labels"] },
      ),
      { maxLength: 2, selector: ({ name }) => name },
    ),
    trafficPolicy: fc.option(trafficPolicy, { nil: undefined }),
  })
  .map(({ name, namespace, createdAtMs, trafficPolicy, ...spec }) =>
    destinationRule(
      { ...spec, ...(trafficPolicy === undefined ? {} : { trafficPolicy }) },
      { name, namespace, createdAtMs },
    ),
  );

const destination = fc.record(
  {
    host,
    subset: fc.constantFrom(...names.subsets, "missing"),
    port: fc.constantFrom(80, 7070, 1),
    weight: fc.integer({ min: 0, max: 3 }),
  },
  { requiredKeys: ["host", "weight"] },
);

const uri = fc.constantFrom(
  { kind: "exact", value: "/a.B/C" } as const,
  { kind: "prefix", value: "/a.B/" } as const,
  { kind: "regex", value: "/a|/b" } as const,
);

const httpRoute = fc
  .record({
    matches: fc.array(fc.record({ uri, headers: fc.constant([]) }, { requiredKeys: ["headers"] }), { maxLength: 2 }),
    destinations: fc.array(destination, { minLength: 1, maxLength: 3 }),
  })
  // What the parser refuses.
  .filter(({ destinations }) => destinations.length === 1 || destinations.some(({ weight }) => weight > 0));

const routeResource = fc
  .record({
    name: fc.constantFrom("v1", "v2"),
    namespace,
    createdAtMs,
    hosts: fc.uniqueArray(host, { minLength: 1, maxLength: 2 }),
    http: fc.array(httpRoute, { minLength: 1, maxLength: 2 }),
  })
  .map(({ hosts, http, ...metadata }) => virtualService({ hosts, http }, metadata));

const mode = fc.constantFrom("UNSET" as const, "DISABLE" as const, "STRICT" as const);

const peersResource = fc
  .record({
    name: fc.constantFrom("p1", "p2"),
    namespace,
    createdAtMs,
    selector: fc.option(app, { nil: undefined }),
    mode,
    portMode: mode,
  })
  .map(({ name, namespace, createdAtMs, selector, mode, portMode }) => {
    const spec = selector === undefined ? { mode } : { mode, selector, portModes: { 17070: portMode } };
    return peerAuthentication(spec, { name, namespace, createdAtMs });
  });

/** One resource of any kind. */
export const anyResource: fc.Arbitrary<Resource> = fc.oneof(
  serviceResource,
  ruleResource,
  routeResource,
  peersResource,
);

const anyListener = fc
  .record({
    portName: fc.constantFrom("grpc", "admin", ""),
    port: fc.constantFrom(17070, 9999),
    state: fc.constantFrom("STARTING" as const, "SERVING" as const, "SERVING" as const, "NOT_SERVING" as const),
    interfaces: fc.subarray([...names.interfaces]),
  })
  .map(listener);

/** One registration; uids, node ids and addresses collide. */
export const anyWorkload: fc.Arbitrary<Workload> = fc
  .record({
    uid: fc.constantFrom("u1", "u2", "u3", "u4"),
    nodeId: fc.constantFrom("n1", "n2"),
    namespace,
    serviceAccount: fc.constantFrom("amy", "zoe"),
    labels: fc.tuple(app, version).map(([first, second]): Record<string, string> => ({ ...first, ...second })),
    address: fc.constantFrom("10.0.0.1", "10.0.0.2", "::1", "not-an-address"),
    state: fc.constantFrom("LIVE" as const, "SUSPECT" as const, "DRAINING" as const),
    listeners: fc.uniqueArray(anyListener, { maxLength: 2, selector: ({ port }) => port }),
  })
  .map(({ uid, ...overrides }) => workload(uid, overrides));

/** A whole mesh. */
export const anyMesh: fc.Arbitrary<MeshContents> = fc.record({
  resources: fc.array(anyResource, { maxLength: 8 }),
  workloads: fc.array(anyWorkload, { maxLength: 4 }),
});
