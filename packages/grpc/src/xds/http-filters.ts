import { typeUrls, unpack } from "@weft/xds-api";
import { FilterConfig } from "@weft/xds-api/envoy/config/route/v3/route_components";
import { HTTPFault } from "@weft/xds-api/envoy/extensions/filters/http/fault/v3/fault";
import type { HttpFilter } from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import { invalid, quoted, within } from "./invalid-resource.ts";

const filterConfigUrl = "type.googleapis.com/envoy.config.route.v3.FilterConfig";

/** Which side a listener is for: some filters exist on one side only (gRFC A39). */
export type FilterSide = "client" | "server";

/** A fault filter is in every listener Istio sends, empty; one that would inject something isn't silently left out. */
function checkFault(config: Any): void {
  const fault = unpack(config, typeUrls.fault, HTTPFault);
  if (fault?.abort !== undefined || fault?.delay !== undefined)
    invalid("fault injection is not supported by this client");
}

function isSupported(typeUrl: string, side: FilterSide): boolean {
  return typeUrl === typeUrls.router || (typeUrl === typeUrls.fault && side === "client");
}

/**
 * Checks a listener's HTTP filters (gRFC A39): unique names, every one that isn't optional known on this side, and the
 * router last and only there.
 */
export function checkHttpFilters(filters: readonly HttpFilter[], side: FilterSide): void {
  const names = new Set<string>();
  let last = "";
  for (const filter of filters) {
    if (filter.name === "") invalid("http filter without a name");
    if (names.has(filter.name)) invalid(`http filter ${quoted(filter.name)} twice`);
    names.add(filter.name);
    if (last === typeUrls.router) invalid(`http filter ${quoted(filter.name)} after the router`);
    const typeUrl = within(`http filter ${quoted(filter.name)}`, () => checkFilter(filter, side));
    if (typeUrl !== undefined) last = typeUrl;
  }
  if (last !== typeUrls.router) invalid("the last http filter is not the router");
}

/** The filter's type URL, or undefined where it is skipped. */
function checkFilter(filter: HttpFilter, side: FilterSide): string | undefined {
  if (filter.configType?.$case !== "typedConfig") {
    return filter.isOptional ? undefined : invalid("it has no typed_config");
  }
  const config = filter.configType.value;
  if (!isSupported(config.typeUrl, side)) {
    return filter.isOptional ? undefined : invalid(`type ${quoted(config.typeUrl)} is not supported on a ${side}`);
  }
  if (filter.disabled) return undefined;
  if (config.typeUrl === typeUrls.fault) checkFault(config);
  return config.typeUrl;
}

/** Checks typed_per_filter_config of a virtual host, route or weighted cluster (gRFC A39). */
export function checkFilterOverrides(overrides: Readonly<Record<string, Any>>): void {
  for (const [name, any] of Object.entries(overrides)) {
    within(`filter override ${quoted(name)}`, () => checkOverride(any));
  }
}

function checkOverride(any: Any): void {
  const wrapped = unpack(any, filterConfigUrl, FilterConfig);
  const config = wrapped === undefined ? any : wrapped.config;
  if (config === undefined) return;
  if (!isSupported(config.typeUrl, "client")) {
    if (wrapped?.isOptional !== true) invalid(`type ${quoted(config.typeUrl)} is not supported`);
  } else if (config.typeUrl === typeUrls.fault && wrapped?.disabled !== true) {
    checkFault(config);
  }
}
