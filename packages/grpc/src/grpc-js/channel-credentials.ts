import { isIP, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { CallCredentials, type ChannelCredentials, type ChannelOptions } from "@grpc/grpc-js";
import type { ChannelCredentials as OurChannelCredentials, PlainChannelCredentials } from "../identity/credentials.ts";
import { XdsChannelCredentials } from "./xds-channel-credentials.ts";

// grpc-js's channel credentials show what is in them only through an underscore method of its public declarations:
// this file is the one place that knows it.

/** The parts of grpc-js's channel credentials, as a channel needs them. */
export interface CredentialParts {
  readonly channel: OurChannelCredentials;
  /** Sent with every call; undefined where the credentials carry none. */
  readonly call: CallCredentials | undefined;
}

type Connector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

const noCallCredentials = CallCredentials.createEmpty();

/** grpc-js's channel credentials, or XdsChannelCredentials, as ours. */
export function credentialParts(credentials: ChannelCredentials, options: ChannelOptions): CredentialParts {
  const plain = credentials instanceof XdsChannelCredentials ? credentials.fallback : credentials;
  const channel = plainCredentials(plain, options);
  const call = callCredentials(plain, options);
  return { channel: plain === credentials ? channel : { kind: "xds", fallback: channel }, call };
}

function plainCredentials(credentials: ChannelCredentials, options: ChannelOptions): PlainChannelCredentials {
  if (!credentials._isSecure()) return { kind: "insecure" };
  /** Names that a channel connects by are few: its authority's, unless a cluster says otherwise. */
  const connectors = new Map<string, Connector>();
  return {
    kind: "connector",
    connect(socket, serverName) {
      let connector = connectors.get(serverName);
      if (connector === undefined) {
        connector = credentials._createSecureConnector({ scheme: "dns", path: serverName }, options);
        withoutAddressAsName(connector);
        connectors.set(serverName, connector);
      }
      return secure(connector, socket);
    },
  };
}

/**
 * An IP address is no TLS server name (RFC 6066 §3): Node refuses it since version 26, grpc-js 1.14 sets it. Without it the
 * certificate is checked against `host`, which is that address. Credentials of certificate providers make their options
 * later, out of reach: with them an address needs `grpc.ssl_target_name_override`.
 */
function withoutAddressAsName(connector: Connector): void {
  const { connectionOptions } = connector as { connectionOptions?: { servername?: string; host?: string } };
  if (connectionOptions?.servername === undefined || connectionOptions.servername !== connectionOptions.host) return;
  if (isIP(connectionOptions.servername) !== 0) delete connectionOptions.servername;
}

function callCredentials(credentials: ChannelCredentials, options: ChannelOptions): CallCredentials | undefined {
  const connector = credentials._createSecureConnector({ scheme: "dns", path: "localhost" }, options);
  const own = connector.getCallCredentials();
  connector.destroy();
  return noCallCredentials._equals(own) ? undefined : own;
}

async function secure(connector: Connector, socket: Socket): Promise<TLSSocket> {
  await connector.waitForReady();
  const { socket: secured } = await connector.connect(socket);
  if (secured instanceof TLSSocket) return secured;
  secured.destroy();
  throw new Error("the channel credentials made a connection that is not TLS");
}
