import { keepTimes } from "../rpc/call-counts.ts";
import { addDeferredService } from "./deferred-service.ts";
import type { ServiceHost } from "./service-host.ts";

/** What `grpc.channelz.v1.Channelz` tells of the process. */
export interface Channelz {
  /** Serves it on `server`. May be called for several servers, which then tell the same. */
  addTo(server: ServiceHost): void;
}

/**
 * The process's channels, subchannels, servers and sockets, with what they count (gRFC A14).
 *
 * Whoever may call it sees the addresses, targets and certificates of all of them: add it only where operators ask, not where
 * clients call. Calls are counted anyway; times are kept from the first `addTo` on. What is closed disappears.
 */
export function createChannelz(): Channelz {
  return {
    addTo(server) {
      keepTimes();
      addDeferredService(server, {
        fullName: "grpc.channelz.v1.Channelz",
        methods: {
          GetTopChannels: {},
          GetServers: {},
          GetServer: {},
          GetServerSockets: {},
          GetChannel: {},
          GetSubchannel: {},
          GetSocket: {},
        },
        load: async () => (await import("./channelz-service.ts")).channelzService,
      });
    },
  };
}
