import * as grpc from "@grpc/grpc-js";
import { keepTimes } from "../rpc/call-counts.ts";

type ChannelzHandlers = ReturnType<typeof grpc.getChannelzHandlers>;
type ChannelzMethod = keyof ChannelzHandlers;
type Respond = grpc.sendUnaryData<unknown>;

const methods: readonly ChannelzMethod[] = [
  "GetChannel",
  "GetServer",
  "GetServerSockets",
  "GetServers",
  "GetSocket",
  "GetSubchannel",
  "GetTopChannels",
];

/** As grpc-js's handlers for `getChannelzServiceDefinition`; they tell of this package's channels and servers. */
export function getChannelzHandlers(): ChannelzHandlers {
  keepTimes();
  const handlers = Object.fromEntries(methods.map((method) => [method, handlerOf(method)]));
  // What each takes and gives is what the definition says of its method.
  return handlers as unknown as ChannelzHandlers;
}

/** As grpc-js's: channelz, by the handlers above, and what was given to `experimental.registerAdminService`. */
export function addAdminServicesToServer(server: grpc.Server): void {
  const channelz: grpc.ServiceDefinition = grpc.getChannelzServiceDefinition();
  const host: Pick<grpc.Server, "addService"> = {
    addService(definition, handlers) {
      server.addService(definition, definition === channelz ? { ...getChannelzHandlers() } : handlers);
    },
  };
  // Of the server it uses nothing else.
  grpc.addAdminServicesToServer(host as grpc.Server);
}

function handlerOf(method: ChannelzMethod) {
  return ({ request }: grpc.ServerUnaryCall<unknown, unknown>, respond: Respond): void => {
    import("./channelz-answers.ts")
      .then(({ channelzAnswer }) => channelzAnswer(method, request))
      .then(
        (answer) => respond(null, answer),
        (error: grpc.ServerErrorResponse) => respond(error),
      );
  };
}
