import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { bind, bindAll } from "./bind.ts";

const discard = () => undefined;

test("every address of a name listens on the same port, those that the machine doesn't have left out", async () => {
  const servers = await bindAll(["127.0.0.1", "192.0.2.1", "::1"], 0, discard);
  const bound = servers.map((server) => server.address() as AddressInfo);
  for (const server of servers) server.close();
  expect(bound[0]?.address).toBe("127.0.0.1");
  expect(bound.map(({ address }) => address)).not.toContain("192.0.2.1");
  expect(new Set(bound.map(({ port }) => port)).size).toBe(1);
});

test("a port that is taken on one address leaves none bound", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await expect(bindAll(["::1", "127.0.0.1"], port, discard)).rejects.toThrow("EADDRINUSE");
  const socket = connect(port, "::1");
  await expect(once(socket, "connect")).rejects.toThrow(/ECONNREFUSED|EADDRNOTAVAIL/);
  taken.close();
});

test("a name that isn't known says so", async () => {
  await expect(bind({ kind: "tcp", host: "nowhere.invalid", port: 0 }, discard)).rejects.toMatchObject({
    code: "UNAVAILABLE",
    details: expect.stringContaining("cannot listen on nowhere.invalid:0"),
  });
});
