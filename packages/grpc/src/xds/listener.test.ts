import { message, pack, typeUrls } from "@weft/xds-api";
import { HttpProtocolOptions } from "@weft/xds-api/envoy/config/core/v3/protocol";
import { ApiListener } from "@weft/xds-api/envoy/config/listener/v3/api_listener";
import { Listener } from "@weft/xds-api/envoy/config/listener/v3/listener";
import { FilterChainMatch, ListenerFilter } from "@weft/xds-api/envoy/config/listener/v3/listener_components";
import { FaultAbort, HTTPFault } from "@weft/xds-api/envoy/extensions/filters/http/fault/v3/fault";
import { Router } from "@weft/xds-api/envoy/extensions/filters/http/router/v3/router";
import {
  type HttpConnectionManager,
  HttpFilter,
} from "@weft/xds-api/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager";
import type { Any } from "@weft/xds-api/google/protobuf/any";
import { describe, expect, test } from "vitest";
import { parseListener } from "./listener.ts";
import { address, downstreamTls, listener, routeConfiguration, serverListener } from "./testing/resources.ts";

const environment = { hasCertificateProvider: (name: string) => name === "default" };
const parse = (value: Listener) => parseListener(value, environment);

const filter = (name: string, value: Any, fields: Partial<HttpFilter> = {}) =>
  message(HttpFilter, { name, configType: { $case: "typedConfig", value }, ...fields });
const router = filter("router", pack(typeUrls.router, Router, message(Router, {})));
const fault = (fields: Partial<HTTPFault> = {}) =>
  filter("fault", pack(typeUrls.fault, HTTPFault, message(HTTPFault, fields)));
const unknown = (fields: Partial<HttpFilter> = {}) =>
  filter("rbac", { typeUrl: "type.googleapis.com/unknown.Filter", value: Buffer.alloc(0) }, fields);
const client = (manager: Partial<HttpConnectionManager>) => parse(listener("echo", "routes", manager));

describe("a client's listener", () => {
  test("names its routes", () => {
    expect(client({})).toEqual({ kind: "client", routes: { kind: "rds", name: "routes" }, defaultTimeoutMs: 0 });
  });

  test("may carry its routes", () => {
    const value = routeConfiguration("inline", "a");
    const parsed = client({ routeSpecifier: { $case: "routeConfig", value } });
    expect(parsed).toMatchObject({ routes: { kind: "inline", config: { virtualHosts: [{ domains: ["*"] }] } } });
  });

  test("may have an address beside its api_listener, as Istio's have", () => {
    const value = { ...listener("echo", "routes"), address: address("10.0.0.1", 7070) };
    expect(parse(value).kind).toBe("client");
  });

  test("limits calls by max_stream_duration and never by idle_timeout", () => {
    const options = message(HttpProtocolOptions, {
      idleTimeout: { seconds: 1n, nanos: 0 },
      maxStreamDuration: { seconds: 2n, nanos: 500_000_000 },
    });
    expect(client({ commonHttpProtocolOptions: options })).toMatchObject({ defaultTimeoutMs: 2_500 });
  });

  test.each<[string, Partial<HttpConnectionManager>, RegExp]>([
    ["no filters", { httpFilters: [] }, /last http filter is not the router/],
    ["a router that is not last", { httpFilters: [router, fault()] }, /"fault" after the router/],
    ["a filter twice", { httpFilters: [fault(), fault(), router] }, /"fault" twice/],
    ["a filter without a name", { httpFilters: [{ ...router, name: "" }] }, /without a name/],
    ["an unknown filter that is not optional", { httpFilters: [unknown(), router] }, /"rbac": type .*unknown\.Filter/],
    ["xff hops", { xffNumTrustedHops: 1 }, /xff_num_trusted_hops/],
    ["scoped routes", { routeSpecifier: undefined }, /route specifier/],
  ])("is refused with %s", (_, manager, reason) => {
    expect(() => client(manager)).toThrow(reason);
  });

  test("skips unknown filters that are optional", () => {
    expect(client({ httpFilters: [unknown({ isOptional: true }), router] }).kind).toBe("client");
  });

  test("may have a fault filter that injects nothing, and no other", () => {
    expect(client({ httpFilters: [fault(), router] }).kind).toBe("client");
    const abort = message(FaultAbort, { errorType: { $case: "httpStatus", value: 503 } });
    expect(() => client({ httpFilters: [fault({ abort }), router] })).toThrow(/fault injection is not supported/);
  });

  test("is refused without an HttpConnectionManager", () => {
    const apiListener = message(ApiListener, { apiListener: pack(typeUrls.router, Router, message(Router, {})) });
    expect(() => parse(message(Listener, { name: "echo", apiListener }))).toThrow(/not an HttpConnectionManager/);
  });
});

describe("a server's listener", () => {
  const match = (fields: Partial<FilterChainMatch>) => ({
    chain: { filterChainMatch: message(FilterChainMatch, fields) },
  });

  test("says how connections are secured", () => {
    expect(parse(serverListener("in"))).not.toHaveProperty("tls");
    expect(parse(serverListener("in", { transportSocket: downstreamTls() }))).toMatchObject({
      tls: { identityInstance: "default", rootsInstance: "default", requireClientCertificate: true },
    });
  });

  test("tells TLS from mTLS", () => {
    const relaxed = parse(
      serverListener("in", { transportSocket: downstreamTls({ requireClientCertificate: false }) }),
    );
    expect(relaxed).toMatchObject({ tls: { requireClientCertificate: false } });
  });

  test("may match raw_buffer or everything", () => {
    expect(parse(serverListener("in", match({ transportProtocol: "raw_buffer" }))).kind).toBe("server");
    expect(parse(serverListener("in", match({ transportProtocol: "" }))).kind).toBe("server");
  });

  test.each<[string, Parameters<typeof serverListener>[1], RegExp]>([
    ["no address", { listener: { address: undefined } }, /neither an api_listener nor an address/],
    [
      "listener filters",
      { listener: { listenerFilters: [message(ListenerFilter, { name: "x" })] } },
      /listener_filters/,
    ],
    ["use_original_dst", { listener: { useOriginalDst: true } }, /use_original_dst/],
    ["the wrong direction", { listener: { trafficDirection: 2 } }, /OUTBOUND/],
    ["no network filter", { chain: { filters: [] } }, /exactly one network filter/],
    ["chains by server name only", match({ serverNames: ["a"] }), /no filter chain that a connection could match/],
    ["chains by source", match({ sourcePorts: [1] }), /chosen by address/],
    ["client names to match", { transportSocket: downstreamTls({ requireSni: true }) }, /require_sni/],
    ["no certificate", { transportSocket: downstreamTls({ commonTlsContext: undefined }) }, /no common_tls_context/],
  ])("is refused with %s", (_, options, reason) => {
    expect(() => parse(serverListener("in", options))).toThrow(reason);
  });

  test("is refused where it names a certificate that nobody provides", () => {
    const value = serverListener("in", { transportSocket: downstreamTls() });
    expect(() => parseListener(value, { hasCertificateProvider: () => false })).toThrow(
      /"default" is not in the bootstrap/,
    );
  });
});
