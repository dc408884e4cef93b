import { message } from "@weft/xds-api";
import {
  type Cluster,
  Cluster_DiscoveryType,
  Cluster_LbPolicy,
  Cluster_TransportSocketMatch,
  LoadBalancingPolicy_Policy,
} from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { TransportSocket } from "@weft/xds-api/envoy/config/core/v3/base";
import { HealthStatus } from "@weft/xds-api/envoy/config/core/v3/health_check";
import { CertificateValidationContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/common";
import type { CommonTlsContext } from "@weft/xds-api/envoy/extensions/transport_sockets/tls/v3/tls";
import { describe, expect, test } from "vitest";
import { parseCluster } from "./cluster.ts";
import { endpointsInUse } from "./cluster-endpoints.ts";
import { parseLoadAssignment } from "./load-assignment.ts";
import { cluster, endpoint, endpoints, locality, upstreamTls } from "./testing/resources.ts";

const environment = { hasCertificateProvider: (name: string) => name === "default" };
const parse = (fields: Partial<Cluster>) => parseCluster(cluster("c", fields), environment);

const policy = (name: string) =>
  message(LoadBalancingPolicy_Policy, {
    typedExtensionConfig: {
      name,
      typedConfig: {
        typeUrl: `type.googleapis.com/envoy.extensions.load_balancing_policies.${name}`,
        value: Buffer.alloc(0),
      },
    },
  });

describe("a cluster", () => {
  test("finds its endpoints under its own name or another", () => {
    expect(parse({})).toEqual({ name: "c", endpoints: "c" });
    const { edsConfig } = cluster("c").edsClusterConfig!;
    expect(parse({ edsClusterConfig: { edsConfig, serviceName: "s" } })).toMatchObject({ endpoints: "s" });
  });

  test("takes the first balancing policy that it knows", () => {
    const policies = [policy("least_request.v3.LeastRequest"), policy("round_robin.v3.RoundRobin")];
    expect(parse({ loadBalancingPolicy: { policies }, lbPolicy: Cluster_LbPolicy.MAGLEV }).name).toBe("c");
  });

  test.each<[string, Partial<Cluster>, RegExp]>([
    ["no type", { clusterDiscoveryType: undefined }, /other than EDS/],
    ["STATIC", { clusterDiscoveryType: { $case: "type", value: Cluster_DiscoveryType.STATIC } }, /other than EDS/],
    ["endpoints from elsewhere", { edsClusterConfig: undefined }, /neither ads nor self/],
    ["MAGLEV", { lbPolicy: Cluster_LbPolicy.MAGLEV }, /lb_policy MAGLEV/],
    [
      "only unknown policies",
      { loadBalancingPolicy: { policies: [policy("maglev.v3.Maglev")] } },
      /none that is supported/,
    ],
    [
      "TLS by endpoint",
      { transportSocketMatches: [message(Cluster_TransportSocketMatch, {})] },
      /transport_socket_matches/,
    ],
    ["a socket that isn't TLS", { transportSocket: message(TransportSocket, { name: "raw" }) }, /"raw" is not TLS/],
  ])("is refused with %s", (_, fields, reason) => {
    expect(() => parse(fields)).toThrow(reason);
  });
});

describe("a cluster's TLS", () => {
  const tls = (common: Partial<CommonTlsContext>) => parse({ transportSocket: upstreamTls([], common) }).tls;
  const provider = (instanceName: string) => ({ instanceName, certificateName: "" });
  const validation = (fields: Partial<CertificateValidationContext>) => ({
    validationContextType: {
      $case: "validationContext",
      value: message(CertificateValidationContext, { caCertificateProviderInstance: provider("default"), ...fields }),
    } as const,
  });

  test("names certificates, roots and whom to expect", () => {
    expect(parse({ transportSocket: upstreamTls(["spiffe://td/ns/a/sa/b"]) }).tls).toEqual({
      rootsInstance: "default",
      identityInstance: "default",
      names: [{ kind: "exact", value: "spiffe://td/ns/a/sa/b", ignoreCase: false }],
    });
  });

  test("may do without a certificate of its own", () => {
    expect(tls({ tlsCertificateProviderInstance: undefined })).not.toHaveProperty("identityInstance");
  });

  test("reads Istio's combined context, in its deprecated spelling too", () => {
    const value = {
      defaultValidationContext: message(CertificateValidationContext, {}),
      validationContextSdsSecretConfig: undefined,
      validationContextCertificateProvider: undefined,
      validationContextCertificateProviderInstance: provider("default"),
    };
    expect(tls({ validationContextType: { $case: "combinedValidationContext", value } })).toMatchObject({
      rootsInstance: "default",
    });
  });

  test.each<[string, Partial<CommonTlsContext>, RegExp]>([
    ["no roots", { validationContextType: undefined }, /would not be verified/],
    [
      "roots nobody provides",
      validation({ caCertificateProviderInstance: provider("other") }),
      /"other" is not in the bootstrap/,
    ],
    ["pinned keys", validation({ verifyCertificateSpki: ["x"] }), /verify_certificate_spki/],
    ["a certificate nobody provides", { tlsCertificateProviderInstance: provider("other") }, /"other" is not in/],
    [
      "an empty name to expect",
      validation({ matchSubjectAltNames: [{ matchPattern: undefined, ignoreCase: false }] }),
      /match_subject_alt_names/,
    ],
  ])("is refused with %s", (_, common, reason) => {
    expect(() => tls(common)).toThrow(reason);
  });
});

describe("endpoints", () => {
  const assign = (...groups: Parameters<typeof endpoints>[1][]) => parseLoadAssignment(endpoints("c", ...groups));
  const ports = (...groups: Parameters<typeof endpoints>[1][]) =>
    endpointsInUse(assign(...groups)).map(({ addresses: [first] }) => (first?.kind === "tcp" ? first.port : undefined));
  const place = (zone: string) => ({ region: "r", zone, subZone: "" });

  test("take calls where they are healthy or unknown", () => {
    const statuses = [HealthStatus.UNKNOWN, HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, HealthStatus.DRAINING];
    expect(ports(locality(statuses.map((status, index) => endpoint(index + 1, status))))).toEqual([1, 2]);
  });

  test("of the first priority that has any take the calls", () => {
    const groups = [
      locality([endpoint(1, HealthStatus.UNHEALTHY)]),
      locality([endpoint(2)], { priority: 1 }),
      locality([endpoint(3)], { priority: 2 }),
    ];
    expect(ports(...groups)).toEqual([2]);
  });

  test("share the weight of their locality", () => {
    const groups = [
      locality([endpoint(1), endpoint(2)], { loadBalancingWeight: 1, locality: place("a") }),
      locality([endpoint(3)], { loadBalancingWeight: 3, locality: place("b") }),
    ];
    expect(endpointsInUse(assign(...groups)).map(({ weight }) => weight)).toEqual([0.5, 0.5, 3]);
  });

  test("of a locality without weight are left out", () => {
    expect(ports(locality([endpoint(1)], { loadBalancingWeight: undefined }))).toEqual([]);
  });

  test("may be none at all", () => {
    expect(assign()).toEqual({ priorities: [] });
  });

  test.each<[string, Parameters<typeof endpoints>[1][], RegExp]>([
    ["without a locality", [locality([endpoint(1)], { locality: undefined })], /without a locality/],
    ["with a gap between priorities", [locality([endpoint(1)], { priority: 1 })], /priority 0 is missing/],
    ["with an absurd priority", [locality([endpoint(1)], { priority: 4_000_000_000 })], /above 128/],
    ["with a locality twice", [locality([endpoint(1)]), locality([endpoint(2)])], /twice in priority 0/],
    ["with an address twice", [locality([endpoint(1), endpoint(1)])], /127\.0\.0\.1 port 1 twice/],
    [
      "by host name",
      [locality([endpoint(1, HealthStatus.HEALTHY, "echo.local")])],
      /"echo.local" is not an IP address/,
    ],
    ["without a port", [locality([endpoint(0)])], /port 0/],
    ["of weight 0", [locality([{ ...endpoint(1), loadBalancingWeight: 0 }])], /weight 0/],
    [
      "beyond 32 bits together",
      [locality([1, 2].map((port) => ({ ...endpoint(port), loadBalancingWeight: 4_000_000_000 })))],
      /more than 2\^32-1/,
    ],
  ])("%s are refused", (_, groups, reason) => {
    expect(() => assign(...groups)).toThrow(reason);
  });
});
