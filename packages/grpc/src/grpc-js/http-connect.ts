import type { ChannelOptions as GrpcJsChannelOptions } from "@grpc/grpc-js";
import { authorityOf } from "../channel/authority.ts";
import type { ChannelOptions } from "../channel/channel-options.ts";
import { parseHostPort } from "../channel/host-port.ts";
import { proxiedSchemes } from "../channel/proxy-choice.ts";
import { parseTarget } from "../channel/target.ts";
import { hostPortText } from "../subchannel/address.ts";

/** Where a channel's calls go, and what that makes of its options, grpc-js's and ours. */
export interface Dialled {
  readonly target: string;
  readonly grpcJs: GrpcJsChannelOptions;
  readonly ours: ChannelOptions;
}

const defaultPort = 443;

/**
 * grpc-js's `grpc.http_connect_target`: the channel's target is a proxy, and this is what that connects to. `:authority`
 * is the proxy's, as there, unless `grpc.default_authority` says otherwise; a certificate has to be for the other one.
 *
 * Nothing else has a say: where grpc-js asks the environment's proxy for this one, this channel goes to this one. Throws
 * a TypeError for a target, of either kind, that isn't one host.
 */
export function throughHttpConnect(target: string, options: GrpcJsChannelOptions): Dialled {
  const wanted = options["grpc.http_connect_target"];
  if (wanted === undefined) return { target, grpcJs: options, ours: {} };
  const peer = `dns:${oneHost(wanted, '"grpc.http_connect_target"')}`;
  return {
    target: peer,
    // What the credentials go by: without a scheme they would take the host for one.
    grpcJs: { ...options, "grpc.http_connect_target": peer },
    ours: {
      proxy: `http://${oneHost(target, 'the target of a channel with "grpc.http_connect_target"')}`,
      authority: options["grpc.default_authority"] ?? authorityOf(targetOf(target)),
    },
  };
}

function oneHost(text: string, what: string): string {
  const { scheme, authority, path } = targetOf(text);
  const address = proxiedSchemes.has(scheme) && authority === "" ? parseHostPort(path, defaultPort) : undefined;
  if (address === undefined) throw new TypeError(`${what} is no host:port: ${JSON.stringify(text)}`);
  return hostPortText(address);
}

function targetOf(text: string) {
  return parseTarget(text, (scheme) => proxiedSchemes.has(scheme) || scheme === "unix" || scheme === "xds");
}
