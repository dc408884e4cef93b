import { message } from "@weft/xds-api";
import { RouteConfiguration } from "@weft/xds-api/envoy/config/route/v3/route";
import {
  ClusterSpecifierPlugin,
  FilterConfig,
  HeaderMatcher,
  QueryParameterMatcher,
  RedirectAction,
  type Route,
  type RouteAction,
  type RouteMatch,
} from "@weft/xds-api/envoy/config/route/v3/route_components";
import { StringMatcher } from "@weft/xds-api/envoy/type/matcher/v3/string";
import { describe, expect, test } from "vitest";
import { parseRouteConfiguration } from "./route-configuration.ts";
import { nonForwarding, route, routeConfiguration, type Split, virtualHost } from "./testing/resources.ts";

function routesOf(...routes: Route[]) {
  return parseRouteConfiguration(routeConfiguration("r", routes)).virtualHosts[0]!.routes;
}
const matchOf = (match: Partial<RouteMatch>) => routesOf(route("a", match))[0]!.match;
const actionOf = (split: Split, action: Partial<RouteAction> = {}) => routesOf(route(split, {}, action))[0]!.action;
const headerOf = (headerMatchSpecifier: HeaderMatcher["headerMatchSpecifier"], fields: Partial<HeaderMatcher> = {}) =>
  matchOf({ headers: [message(HeaderMatcher, { name: "X-User", headerMatchSpecifier, ...fields })] }).headers[0]!;
const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });

describe("a path", () => {
  test("is a prefix, exact or a regular expression", () => {
    const regex = { regex: "/a/.*", engineType: undefined };
    expect(matchOf({ pathSpecifier: { $case: "path", value: "/a/b" } }).path).toEqual({
      kind: "exact",
      value: "/a/b",
      ignoreCase: false,
    });
    expect(matchOf({ caseSensitive: false }).path).toMatchObject({ kind: "prefix", ignoreCase: true });
    expect(matchOf({ pathSpecifier: { $case: "safeRegex", value: regex } }).path).toEqual({
      kind: "regex",
      pattern: "/a/.*",
    });
  });

  test("of another kind refuses the resource", () => {
    const pathSpecifier = { $case: "pathSeparatedPrefix", value: "/a" } as const;
    expect(() => matchOf({ pathSpecifier })).toThrow(
      'virtual host "*": route 0: path specifier pathSeparatedPrefix is not supported',
    );
  });

  test("with a bad regular expression refuses the resource", () => {
    const value = { regex: "(?=x)", engineType: undefined };
    expect(() => matchOf({ pathSpecifier: { $case: "safeRegex", value } })).toThrow(/regular expression "\(\?=x\)"/);
  });
});

describe("a header", () => {
  test("is matched as text, integer or presence", () => {
    const matcher = message(StringMatcher, { matchPattern: { $case: "contains", value: "b" }, ignoreCase: true });
    expect(headerOf({ $case: "exactMatch", value: "a" }, { invertMatch: true })).toEqual({
      name: "x-user",
      invert: true,
      test: { kind: "string", match: { kind: "exact", value: "a", ignoreCase: false } },
    });
    expect(headerOf({ $case: "stringMatch", value: matcher }).test).toEqual({
      kind: "string",
      match: { kind: "contains", value: "b", ignoreCase: true },
    });
    expect(headerOf({ $case: "rangeMatch", value: { start: 1n, end: 5n } }).test).toEqual({
      kind: "range",
      start: 1n,
      end: 5n,
    });
    expect(headerOf({ $case: "presentMatch", value: false }).test).toEqual({ kind: "present", present: false });
    expect(headerOf(undefined).test).toEqual({ kind: "present", present: true });
  });

  test("with an empty part to look for refuses the resource", () => {
    expect(() => headerOf({ $case: "prefixMatch", value: "" })).toThrow(/header "X-User": an empty prefix/);
  });

  test("with a range that ends before it begins refuses the resource", () => {
    expect(() => headerOf({ $case: "rangeMatch", value: { start: 5n, end: 1n } })).toThrow(/range from 5 to 1/);
  });
});

describe("a route", () => {
  test("without a match refuses the resource", () => {
    expect(() => routesOf({ ...route("a"), match: undefined })).toThrow(/no match/);
  });

  test("with query parameters is left out, whatever else it has", () => {
    const queryParameters = [message(QueryParameterMatcher, { name: "a" })];
    const pathSpecifier = { $case: "pathSeparatedPrefix", value: "/a" } as const;
    expect(routesOf(route("a", { queryParameters, pathSpecifier }), route("b"))).toHaveLength(1);
  });

  test("to a cluster named by a header is left out", () => {
    expect(routesOf(route("a", {}, { clusterSpecifier: { $case: "clusterHeader", value: "x" } }))).toEqual([]);
  });

  test("that redirects is kept, so that its calls fail", () => {
    const redirect = { ...route("a"), action: { $case: "redirect", value: message(RedirectAction, {}) } } as const;
    expect(routesOf(redirect)[0]!.action).toEqual({ kind: "unsupported", what: "redirect" });
  });

  test("may be a server's own", () => {
    expect(routesOf(nonForwarding)[0]!.action).toEqual({ kind: "nonForwarding" });
  });

  test("takes a fraction of the calls", () => {
    const fraction = (numerator: number, denominator: 0 | 1 | 2) =>
      matchOf({ runtimeFraction: { runtimeKey: "", defaultValue: { numerator, denominator } } }).perMillion;
    expect([fraction(25, 0), fraction(25, 1), fraction(25, 2), fraction(200, 0)]).toEqual([
      250_000, 2_500, 25, 1_000_000,
    ]);
  });

  test("with an unknown filter's settings refuses the resource, unless they are optional", () => {
    const url = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
    const config = { typeUrl: "type.googleapis.com/unknown.Cors", value: Buffer.alloc(0) };
    const optional = FilterConfig.encode(message(FilterConfig, { config, isOptional: true })).finish();
    expect(() => routesOf({ ...route("a"), typedPerFilterConfig: { cors: config } })).toThrow(
      /"cors": type .*unknown\.Cors/,
    );
    const wrapped = { typeUrl: url, value: Buffer.from(optional) };
    expect(routesOf({ ...route("a"), typedPerFilterConfig: { cors: wrapped } })).toHaveLength(1);
  });
});

describe("clusters", () => {
  test("share calls by weight; those of weight 0 get none", () => {
    expect(actionOf({ a: 20, b: 80, c: 0 })).toEqual({
      kind: "forward",
      clusters: [
        { name: "a", weight: 20 },
        { name: "b", weight: 80 },
      ],
    });
  });

  test("without any weight refuse the resource", () => {
    expect(() => actionOf({ a: 0, b: 0 })).toThrow(/add up to 0/);
  });

  test("with weights beyond 32 bits refuse the resource", () => {
    expect(() => actionOf({ a: 4_294_967_295, b: 1 })).toThrow(/more than 2\^32-1/);
  });

  test("chosen by a plugin are left out where the plugin is optional, and refuse the resource otherwise", () => {
    const plugin = (isOptional: boolean) =>
      message(ClusterSpecifierPlugin, { extension: { name: "rls", typedConfig: undefined }, isOptional });
    const action = { clusterSpecifier: { $case: "clusterSpecifierPlugin", value: "rls" } } as const;
    const config = (plugins: ClusterSpecifierPlugin[]) =>
      message(RouteConfiguration, {
        name: "r",
        virtualHosts: [virtualHost([route("a", {}, action)])],
        clusterSpecifierPlugins: plugins,
      });
    expect(parseRouteConfiguration(config([plugin(true)])).virtualHosts[0]!.routes).toEqual([]);
    expect(() => parseRouteConfiguration(config([plugin(false)]))).toThrow(/plugin "rls" is not supported/);
    expect(() => parseRouteConfiguration(config([]))).toThrow(/plugin "rls" is not declared/);
  });
});

describe("a time limit", () => {
  const limit = (fields: Partial<NonNullable<RouteAction["maxStreamDuration"]>>) =>
    actionOf("a", {
      timeout: seconds(9),
      maxStreamDuration: {
        maxStreamDuration: undefined,
        grpcTimeoutHeaderMax: undefined,
        grpcTimeoutHeaderOffset: undefined,
        ...fields,
      },
    });

  test("is grpc_timeout_header_max, else max_stream_duration, never timeout", () => {
    expect(limit({ maxStreamDuration: seconds(2), grpcTimeoutHeaderMax: seconds(1) })).toHaveProperty(
      "timeoutMs",
      1_000,
    );
    expect(limit({ maxStreamDuration: seconds(2) })).toHaveProperty("timeoutMs", 2_000);
    expect(limit({ maxStreamDuration: seconds(0) })).toHaveProperty("timeoutMs", 0);
    expect(limit({})).not.toHaveProperty("timeoutMs");
  });

  test("below a millisecond is not none", () => {
    expect(limit({ maxStreamDuration: { seconds: 0n, nanos: 1 } })).toHaveProperty("timeoutMs", 1);
  });

  test("that is negative refuses the resource", () => {
    expect(() => limit({ maxStreamDuration: seconds(-1) })).toThrow(/max_stream_duration: -1s/);
  });
});

test.each([[[]], [["a.*.b"]], [["**"]]])("a virtual host with domains %j refuses the resource", (domains) => {
  expect(() => parseRouteConfiguration(routeConfiguration("r", "a", domains))).toThrow(/domain/);
});
