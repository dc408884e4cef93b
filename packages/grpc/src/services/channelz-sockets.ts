import { TLSSocket } from "node:tls";
import { message } from "@weft/xds-api";
import {
  type Address,
  type Security,
  Socket,
  SocketData,
  type SocketRef,
} from "@weft/xds-api/grpc/channelz/v1/channelz";
import type { ConnectionCounts } from "../rpc/call-counts.ts";
import { Listener } from "../server/listener.ts";
import type { ServerConnection } from "../server/server-connection.ts";
import type { ClientConnection } from "../subchannel/client-connection.ts";
import { listenAddress, socketEnds, unixAddress } from "./channelz-address.ts";
import { idOf } from "./channelz-ids.ts";

/** What channelz calls a socket: one that listens, or a connection of either side. */
export type SocketEntity = Listener | ServerConnection | ClientConnection;

export function socketRef(entity: SocketEntity): SocketRef {
  return { socketId: idOf(entity), name: socketName(entity) };
}

/** Everything that is told of `entity`. */
export function describeSocket(entity: SocketEntity): Socket {
  const ref = socketRef(entity);
  if (entity instanceof Listener) {
    return message(Socket, { ref, data: message(SocketData, {}), local: listenAddress(entity.address) });
  }
  const { socket, role } = entity.connection;
  const ends = socketEnds(socket);
  return message(Socket, {
    ref,
    data: describeTraffic(entity.counts, role),
    local: ends.local,
    remote: ends.remote ?? unixPeer(entity),
    security: socket instanceof TLSSocket ? describeTls(socket) : undefined,
  });
}

/** 0 means that there was none. */
export function timeOf(ms: number): Date | undefined {
  return ms === 0 ? undefined : new Date(ms);
}

function socketName(entity: SocketEntity): string {
  if (entity instanceof Listener) return entity.address;
  return typeof entity.peer === "string" ? entity.peer : `${entity.peer.address} -> ${entity.peer.localAddress}`;
}

function unixPeer({ peer }: ServerConnection | ClientConnection): Address | undefined {
  const path = typeof peer === "string" && peer.startsWith("unix:") ? peer.slice("unix:".length) : undefined;
  return path === undefined ? undefined : unixAddress(path);
}

function describeTraffic(counts: ConnectionCounts, role: "client" | "server"): SocketData {
  const isClient = role === "client";
  const lastStream = timeOf(counts.lastStartedAt);
  return message(SocketData, {
    streamsStarted: BigInt(counts.started),
    streamsSucceeded: BigInt(counts.succeeded + counts.failed - counts.broken),
    streamsFailed: BigInt(counts.broken),
    messagesSent: BigInt(counts.messagesSent),
    messagesReceived: BigInt(counts.messagesReceived),
    lastLocalStreamCreatedTimestamp: isClient ? lastStream : undefined,
    lastRemoteStreamCreatedTimestamp: isClient ? undefined : lastStream,
    lastMessageSentTimestamp: timeOf(counts.lastSentAt),
    lastMessageReceivedTimestamp: timeOf(counts.lastReceivedAt),
  });
}

function describeTls(socket: TLSSocket): Security {
  const none = new Uint8Array(0);
  const cipher = socket.getCipher() as { readonly standardName?: string } | undefined;
  return {
    model: {
      $case: "tls",
      value: {
        cipherSuite: { $case: "standardName", value: cipher?.standardName ?? "" },
        localCertificate: socket.getX509Certificate()?.raw ?? none,
        remoteCertificate: socket.getPeerX509Certificate()?.raw ?? none,
      },
    },
  };
}
