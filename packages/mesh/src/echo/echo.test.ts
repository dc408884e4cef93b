import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, test } from "vitest";
import { startEcho } from "./echo.ts";

const instance = { version: "v1", cluster: "", namespace: "", hostname: "here" };

async function takenPort() {
  const holder = createServer().listen(0, "127.0.0.1");
  await once(holder, "listening");
  const { port } = holder.address() as AddressInfo;
  return { port, [Symbol.dispose]: () => void holder.close() };
}

test("a wished port that another process took in the meantime is given up for a free one", async () => {
  using taken = await takenPort();
  const wish = { address: `127.0.0.1:${taken.port}`, orElse: "127.0.0.1:0" };
  const echo = await startEcho({ instance, grpc: [wish], xds: [] });
  await echo.close(0);
  expect(echo.grpcPorts).toEqual([expect.any(Number)]);
  expect(echo.grpcPorts).not.toContain(taken.port);
});

test("a port that is no wish is an error where it is taken", async () => {
  using taken = await takenPort();
  const starting = startEcho({ instance, grpc: [{ address: `127.0.0.1:${taken.port}` }], xds: [] });
  await expect(starting).rejects.toMatchObject({ cause: { code: "EADDRINUSE" } });
});
