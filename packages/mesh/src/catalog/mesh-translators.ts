import { clusterName, type TypeUrl, typeUrls } from "@weft/xds-api";
import { Cluster } from "@weft/xds-api/envoy/config/cluster/v3/cluster";
import { ClusterLoadAssignment } from "@weft/xds-api/envoy/config/endpoint/v3/endpoint";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import type { MeshSnapshot } from "../model/snapshot.ts";
import { type Audience, audienceKey } from "../translate/audience.ts";
import { clusterFor } from "../translate/clusters.ts";
import { endpointsFor } from "../translate/endpoints.ts";
import { listenerFor } from "../translate/listeners.ts";
import { routeConfigurationFor } from "../translate/route-configurations.ts";
import { clustersNamedBy } from "../translate/routes.ts";
import { encoding, type ResourceId, type Translators } from "./translators.ts";

/** The mesh's own translations; a route configuration requires the cluster and the endpoints of every name it leads to. */
export const meshTranslators: Translators<Audience> = {
  byType: {
    [typeUrls.listener]: encoding(typeUrls.listener, Listener, listenerFor),
    [typeUrls.routeConfiguration]: encoding(
      typeUrls.routeConfiguration,
      RouteConfiguration,
      routeConfigurationFor,
      requiredByRoutes,
    ),
    [typeUrls.cluster]: encoding(typeUrls.cluster, Cluster, clusterFor),
    [typeUrls.clusterLoadAssignment]: encoding(typeUrls.clusterLoadAssignment, ClusterLoadAssignment, endpointsFor),
  },
  audienceKey,
  list: hostNames,
};

function requiredByRoutes(routes: RouteConfiguration): readonly ResourceId[] {
  return clustersNamedBy(routes).flatMap((name) => [
    { typeUrl: typeUrls.cluster, name },
    { typeUrl: typeUrls.clusterLoadAssignment, name },
  ]);
}

/** What wildcard subscribers see: every Service port, as a listener or as clusters with one more for each subset. */
function hostNames(mesh: MeshSnapshot, _audience: Audience, typeUrl: TypeUrl): readonly string[] {
  const { hosts } = mesh.resources;
  return [...hosts.values()].flatMap(({ name, service }) =>
    (service?.ports ?? []).flatMap(({ port }) => {
      if (typeUrl === typeUrls.listener) return [`${name}:${port}`];
      if (typeUrl !== typeUrls.cluster) return [];
      const subsets = mesh.rule(name)?.subsets ?? [];
      return [clusterName(name, port), ...subsets.map((subset) => clusterName(name, port, subset.name))];
    }),
  );
}
