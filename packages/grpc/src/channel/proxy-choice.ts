import { RpcError } from "../rpc/error.ts";
import { type HttpProxy, parseHttpProxy } from "../subchannel/http-proxy.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { parseNoProxy } from "./no-proxy.ts";
import type { Target } from "./target.ts";

/**
 * The proxy on the way to a host (a name, or an IP literal without brackets); undefined: straight. Throws an RpcError where
 * that can't be known.
 */
export type ProxyChoice = (host: string) => HttpProxy | undefined;

type Environment = Readonly<Record<string, string | undefined>>;

/** The first that is set counts, as in every gRPC. */
const proxyVariables = ["grpc_proxy", "https_proxy", "http_proxy"];
const exceptionVariables = ["no_grpc_proxy", "no_proxy"];
/** `unix:` is this machine, and calls within a mesh go straight from process to process. */
export const proxiedSchemes: ReadonlySet<string> = new Set(["dns", "ipv4", "ipv6"]);

/**
 * The proxies of a channel to `target`: those of its `options` or, where these say nothing, of the environment as it is now.
 *
 * A `proxy` option that can't be meant is a TypeError. A variable that can't be meant belongs to the machine and not to
 * the caller: it fails the calls that would need it, with its name and, for it may hold a password, without its value.
 * grpc-js logs such a variable and goes without the proxy; where there is a proxy for a reason, that is a connection
 * that hangs, or one that nobody wanted to be possible.
 */
export function proxyChoice(target: Target, options: ChannelOptions, env: Environment = process.env): ProxyChoice {
  const { proxy, proxyCredentials } = options;
  if (proxy === false) return straight;
  if (proxy !== undefined) return namedProxy(target, proxy, proxyCredentials);
  const variable = proxiedSchemes.has(target.scheme) ? firstSet(env, proxyVariables) : undefined;
  if (variable === undefined) return straight;
  const chosen = parseHttpProxy(env[variable]!, proxyCredentials);
  const exceptions = firstSet(env, exceptionVariables);
  const isException = exceptions === undefined ? () => false : parseNoProxy(env[exceptions]!);
  return (host) => {
    if (isException(host)) return undefined;
    if (chosen === undefined) throw unusable(variable, host);
    return chosen;
  };
}

const straight = () => undefined;

function namedProxy({ scheme, text }: Target, url: string, credentials: string | undefined): ProxyChoice {
  const chosen = parseHttpProxy(url, credentials);
  if (chosen === undefined) throw new TypeError('the channel option "proxy" is no http://host:port');
  if (proxiedSchemes.has(scheme)) return () => chosen;
  throw new TypeError(
    `target ${JSON.stringify(text)} is reached straight: the channel option "proxy" can't be honoured`,
  );
}

/** An empty variable is as good as none. */
function firstSet(env: Environment, names: readonly string[]): string | undefined {
  return names.find((name) => env[name] !== undefined && env[name] !== "");
}

function unusable(variable: string, host: string): RpcError {
  return new RpcError(
    "UNAVAILABLE",
    `the environment's ${variable} is no http://host:port of a proxy, which ${host} is to be reached through; ` +
      `mend it, or name the host in no_proxy`,
  );
}
