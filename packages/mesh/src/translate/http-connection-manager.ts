import { message, pack, typeUrls } from "@weft/xds-api";
import { AggregatedConfigSource, ApiVersion, ConfigSource } from "@weft/xds-api/envoy/config/core/v3/config_source";
import type { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import { Router } from "@weft/xds-api/envoy/extensions/filters/http/router/v3/router";
import {
  HttpConnectionManager,
  HttpFilter,
  Rds,
} from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import type { Any } from "@weft/xds-api/google/protobuf/any";

/** "Ask on this same stream", which every gRPC language takes. */
export const adsConfigSource: ConfigSource = message(ConfigSource, {
  configSourceSpecifier: { $case: "ads", value: message(AggregatedConfigSource, {}) },
  resourceApiVersion: ApiVersion.V3,
});

/** A packed HttpConnectionManager that gets its routes by name over ADS. */
export function managerWithRouteName(routeConfigName: string): Any {
  const rds = message(Rds, { configSource: adsConfigSource, routeConfigName });
  return packManager({ $case: "rds", value: rds });
}

/** A packed HttpConnectionManager that carries its routes. */
export function managerWithRoutes(routes: RouteConfiguration): Any {
  return packManager({ $case: "routeConfig", value: routes });
}

function packManager(routeSpecifier: HttpConnectionManager["routeSpecifier"]): Any {
  // The router is last and nothing else: the only filter that is the same everywhere, and without it clients refuse all.
  const router = message(HttpFilter, {
    name: "envoy.filters.http.router",
    configType: { $case: "typedConfig", value: pack(typeUrls.router, Router, message(Router, {})) },
  });
  const manager = message(HttpConnectionManager, { routeSpecifier, httpFilters: [router] });
  return pack(typeUrls.httpConnectionManager, HttpConnectionManager, manager);
}
