import { isIPv4, isIPv6 } from "node:net";
import type { Endpoint } from "../balancing/endpoint.ts";
import { RpcError } from "../rpc/error.ts";
import { parseHostPort } from "./host-port.ts";
import type { ChannelEnvironment, Resolver, ResolverListener } from "./resolver.ts";
import { balancerFor, SingleRouter } from "./single-router.ts";
import type { Target } from "./target.ts";

const defaultPort = 443;

/** The endpoints of an `ipv4:`, `ipv6:` or `unix:` target: they never change. Throws an RpcError where there are none. */
export function fixedResolver(target: Target, listener: ResolverListener, environment: ChannelEnvironment): Resolver {
  const endpoints = endpointsOf(target, environment);
  const balancer = balancerFor(environment, () => undefined);
  balancer.updateEndpoints(endpoints);
  listener.onRouter(new SingleRouter(balancer));
  return {
    resolveNow() {
      // Nothing to look up.
    },
    close: () => balancer.close(),
  };
}

function endpointsOf(target: Target, { proxyFor }: ChannelEnvironment): Endpoint[] {
  if (target.scheme === "unix") {
    if (target.path === "" || target.path === "/") throw unusable(target, "it names no socket");
    return [{ addresses: [{ kind: "unix", path: target.path }] }];
  }
  const isLiteral = target.scheme === "ipv4" ? isIPv4 : isIPv6;
  return target.path.split(",").map((text) => {
    const parsed = parseHostPort(text.trim(), defaultPort);
    if (parsed === undefined || !isLiteral(parsed.host)) {
      throw unusable(target, `${JSON.stringify(text)} is not an ${target.scheme} address with a port`);
    }
    const { host, port } = parsed;
    return { addresses: [{ kind: "tcp", host, port, proxy: proxyFor(host) }] };
  });
}

function unusable(target: Target, why: string): RpcError {
  return new RpcError("UNAVAILABLE", `target ${JSON.stringify(target.text)}: ${why}`);
}
