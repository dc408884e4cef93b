import * as grpc from "@grpc/grpc-js";
import { expect, test } from "vitest";
import * as weft from "../grpc-js.ts";
import { BytesClient } from "./testing/grpc-js-client.ts";
import { startGrpcJsServer } from "./testing/grpc-js-server.ts";

// Asked as an application of grpc-js asks: with grpc-js's own definition of the service, and its messages.

interface Entity {
  readonly ref: { readonly name: string; readonly [id: string]: string };
  readonly data: { readonly calls_started: string; readonly calls_failed: string; readonly state: { state: string } };
  readonly listen_socket: readonly { readonly socket_id: string; readonly name: string }[];
}
interface Answer {
  readonly channel: Entity & readonly Entity[];
  readonly server: Entity & readonly Entity[];
  readonly socket: { readonly local: { readonly address: string; readonly tcpip_address: { readonly port: number } } };
}

/** Questions to the channelz of `server`, which gets it by `add`. */
async function asking(server: grpc.Server, add: (server: grpc.Server) => void) {
  add(server);
  const port = await new Promise<number>((resolve) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_error, bound) => resolve(bound));
  });
  const Stub = grpc.makeClientConstructor(weft.getChannelzServiceDefinition(), "Channelz");
  const stub = new Stub(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  return {
    ask: (method: string, request: object) =>
      new Promise<Answer>((resolve, reject) => {
        stub[method]!(request, (error: grpc.ServiceError | null, answer: Answer) =>
          error === null ? resolve(answer) : reject(error),
        );
      }),
    [Symbol.dispose]() {
      stub.close();
      server.forceShutdown();
    },
  };
}

const byHandlers = (server: grpc.Server) =>
  server.addService(weft.getChannelzServiceDefinition(), { ...weft.getChannelzHandlers() });

test.each([
  ["getChannelzHandlers on our server", () => asking(new weft.Server(), byHandlers)],
  ["getChannelzHandlers on grpc-js's", () => asking(new grpc.Server(), byHandlers)],
  ["addAdminServicesToServer", () => asking(new weft.Server(), weft.addAdminServicesToServer)],
])("%s tells of a channel and a server by their refs", async (_way, start) => {
  await using served = await startGrpcJsServer(new weft.Server());
  await using client = new BytesClient(new weft.Client(served.address, grpc.credentials.createInsecure()));
  using channelz = await start();
  await client.unary(Buffer.of());

  const channelRef = client.client.getChannel().getChannelzRef();
  const { channel } = await channelz.ask("GetChannel", { channel_id: channelRef.id });
  expect(channelRef).toMatchObject({ kind: "channel", name: served.address });
  expect(channel.ref).toMatchObject({ channel_id: `${channelRef.id}`, name: served.address });
  expect(channel.data).toMatchObject({ calls_started: "1", calls_failed: "0", state: { state: "READY" } });

  const serverRef = served.server.getChannelzRef();
  const { server } = await channelz.ask("GetServer", { server_id: serverRef.id });
  expect(serverRef).toMatchObject({ kind: "server", name: served.address });
  expect(server.ref).toMatchObject({ server_id: `${serverRef.id}`, name: served.address });
  expect(server.data.calls_started).toBe("1");
  const { socket } = await channelz.ask("GetSocket", { socket_id: server.listen_socket[0]?.socket_id });
  expect(socket.local).toMatchObject({ address: "tcpip_address", tcpip_address: { port: served.port } });
});

test("what isn't there is NOT_FOUND, as with grpc-js", async () => {
  using channelz = await asking(new weft.Server(), weft.addAdminServicesToServer);
  await expect(channelz.ask("GetChannel", { channel_id: 987_654_321 })).rejects.toMatchObject({
    code: grpc.status.NOT_FOUND,
    details: "no channel 987654321 here, or not any more",
  });
});

test("grpc.enable_channelz 0 keeps channels and servers out of it", async () => {
  const off = { "grpc.enable_channelz": 0 };
  await using served = await startGrpcJsServer(new weft.Server(off));
  await using client = new BytesClient(new weft.Client(served.address, grpc.credentials.createInsecure(), off));
  using channelz = await asking(new weft.Server(), weft.addAdminServicesToServer);
  await client.unary(Buffer.of());
  const { channel } = await channelz.ask("GetTopChannels", {});
  const { server } = await channelz.ask("GetServers", {});
  expect([...channel, ...server].map(({ ref }) => ref.name)).not.toContain(served.address);
  const { id } = served.server.getChannelzRef();
  await expect(channelz.ask("GetServer", { server_id: id })).rejects.toMatchObject({ code: grpc.status.NOT_FOUND });
});

test("addAdminServicesToServer adds what was registered with experimental.registerAdminService", () => {
  const method = { path: "/test.Admin/Ask", requestStream: false, responseStream: false } as const;
  const same = (bytes: Buffer) => bytes;
  const codec = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  weft.experimental.registerAdminService(
    () => ({ Ask: { ...method, ...codec } }),
    () => ({ Ask: () => undefined }),
  );
  const server = new weft.Server();
  weft.addAdminServicesToServer(server);
  expect(server.services).toEqual(expect.arrayContaining(["grpc.channelz.v1.Channelz", "test.Admin"]));
});
