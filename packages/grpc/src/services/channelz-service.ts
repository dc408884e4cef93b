import { message } from "@weft/xds-api";
import {
  ChannelData,
  Channel as ChannelMessage,
  ChannelConnectivityState_State as ChannelState,
  ChannelzDefinition,
  ServerData,
  Server as ServerMessage,
  Subchannel as SubchannelMessage,
} from "@weft/xds-api/grpc/channelz/v1/channelz";
import type { Channel } from "../channel/channel.ts";
import { liveChannels } from "../channel/channel-registry.ts";
import { CallCounts } from "../rpc/call-counts.ts";
import { RpcError } from "../rpc/error.ts";
import type { ServiceHandlers } from "../server/handlers.ts";
import type { ServerConnection } from "../server/server-connection.ts";
import { type ListeningServer, listeningOnes, liveServers, serverName } from "../server/server-registry.ts";
import type { ConnectivityState } from "../subchannel/connectivity-state.ts";
import type { Subchannel } from "../subchannel/subchannel.ts";
import { idOf, pageOf, withId } from "./channelz-ids.ts";
import { describeSocket, type SocketEntity, socketRef, timeOf } from "./channelz-sockets.ts";

/** A page has no more entries than this, whatever is asked for. */
const maxPageSize = 100;

/** `grpc.channelz.v1.Channelz` over what lives in this process at the time of each call. */
export const channelzService: {
  readonly definition: ChannelzDefinition;
  readonly handlers: ServiceHandlers<ChannelzDefinition>;
} = {
  definition: ChannelzDefinition,
  handlers: {
    getTopChannels({ startChannelId, maxResults }) {
      const { page, end } = pageOf(liveChannels(), startChannelId, pageSize(maxResults));
      return { channel: page.map(describeChannel), end };
    },
    getServers({ startServerId, maxResults }) {
      const { page, end } = pageOf(liveServers(), startServerId, pageSize(maxResults));
      return { server: page.map(describeServer), end };
    },
    getServer: ({ serverId }) => ({ server: describeServer(found("server", serverId, liveServers())) }),
    getServerSockets({ serverId, startSocketId, maxResults }) {
      const server = found("server", serverId, liveServers());
      const { page, end } = pageOf(connectionsOf(server), startSocketId, pageSize(maxResults));
      return { socketRef: page.map(socketRef), end };
    },
    getChannel: ({ channelId }) => ({ channel: describeChannel(found("channel", channelId, liveChannels())) }),
    getSubchannel({ subchannelId }) {
      return { subchannel: describeSubchannel(found("subchannel", subchannelId, liveSubchannels())) };
    },
    getSocket: ({ socketId }) => ({ socket: describeSocket(found("socket", socketId, liveSockets())) }),
  },
};

function pageSize(maxResults: bigint): number {
  if (maxResults < 0n) throw new RpcError("INVALID_ARGUMENT", `max_results is ${maxResults}; it may not be negative`);
  return maxResults === 0n || maxResults > maxPageSize ? maxPageSize : Number(maxResults);
}

function found<Entity extends object>(what: string, id: bigint, entities: Iterable<Entity>): Entity {
  const entity = withId(entities, id);
  if (entity === undefined) throw new RpcError("NOT_FOUND", `no ${what} ${id} here, or not any more`);
  return entity;
}

function liveSubchannels(): Set<Subchannel> {
  return new Set(liveChannels().flatMap(({ subchannels }) => subchannels));
}

function* liveSockets(): Generator<SocketEntity> {
  for (const { connections } of liveSubchannels()) yield* connections;
  for (const server of liveServers()) {
    yield* server.listeners;
    yield* connectionsOf(server);
  }
}

function connectionsOf({ listeners }: ListeningServer): ServerConnection[] {
  return [...listeners].flatMap(({ openOnes }) => [...openOnes]);
}

function describeChannel(channel: Channel): ChannelMessage {
  const { subchannels, target, counts } = channel;
  return message(ChannelMessage, {
    ref: { channelId: idOf(channel), name: target },
    data: describeCalls(counts, channel.connectivityState(), target),
    subchannelRef: subchannels.map((subchannel) => ({ subchannelId: idOf(subchannel), name: subchannel.peer })),
  });
}

function describeSubchannel(subchannel: Subchannel): SubchannelMessage {
  const { connections, peer, state } = subchannel;
  return message(SubchannelMessage, {
    ref: { subchannelId: idOf(subchannel), name: peer },
    data: describeCalls(subchannel.countCalls(), state, peer),
    socketRef: [...connections].map(socketRef),
  });
}

function describeCalls(counts: CallCounts, state: ConnectivityState, target: string): ChannelData {
  return message(ChannelData, { state: { state: ChannelState[state] }, target, ...describeCounts(counts) });
}

function describeServer(server: ListeningServer): ServerMessage {
  const counts = new CallCounts();
  for (const listener of server.listeners) counts.add(listener.countCalls());
  return message(ServerMessage, {
    ref: { serverId: idOf(server), name: serverName(server) },
    data: message(ServerData, describeCounts(counts)),
    listenSocket: listeningOnes(server).map(socketRef),
  });
}

function describeCounts(counts: CallCounts) {
  return {
    callsStarted: BigInt(counts.started),
    callsSucceeded: BigInt(counts.succeeded),
    callsFailed: BigInt(counts.failed),
    lastCallStartedTimestamp: timeOf(counts.lastStartedAt),
  };
}
