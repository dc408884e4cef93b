import { type EchoRequest, EchoTestServiceDefinition } from "@weft/xds-api/echo/echo";
import { expect, test } from "vitest";
import { createClient } from "./channel/client.ts";
import { tlsChannelCredentials, tlsServerCredentials } from "./credentials.ts";
import { createTestAuthority } from "./identity/testing/certificates.ts";
import { createServer } from "./server/server.ts";

test("a client certificate needs a chain to the roots, but no names", async () => {
  const authority = await createTestAuthority();
  const stranger = await createTestAuthority();
  const rootsPem = authority.rootPem;
  await using server = createServer({
    credentials: tlsServerCredentials({
      keyPair: await authority.issue({ ips: ["127.0.0.1"] }),
      clientRootsPem: rootsPem,
    }),
  });
  server.add(EchoTestServiceDefinition, {
    echo: async ({ message }: EchoRequest) => ({ message }),
    forwardEcho: async () => ({ output: [] }),
  });
  const { address } = await server.listen("127.0.0.1:0");
  const clientWith = async (from: typeof authority) => {
    const keyPair = await from.issue({});
    return createClient(EchoTestServiceDefinition, address, {
      credentials: tlsChannelCredentials({ rootsPem, keyPair }),
    });
  };
  await using nameless = await clientWith(authority);
  expect(await nameless.echo({ message: "hello" })).toEqual({ message: "hello" });
  await using untrusted = await clientWith(stranger);
  await expect(untrusted.echo({ message: "hello" }, { timeoutMs: 5000 })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});
