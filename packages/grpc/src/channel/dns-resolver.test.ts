import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import type { RpcError } from "../rpc/error.ts";
import { type HttpProxy, parseHttpProxy } from "../subchannel/http-proxy.ts";
import { SubchannelPool } from "../subchannel/subchannel-pool.ts";
import { ManualClock } from "../subchannel/testing/manual-clock.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { dnsResolver } from "./dns-resolver.ts";
import type { CallRouter } from "./resolver.ts";
import { parseTarget } from "./target.ts";

/** A resolver whose lookups are answered by the test. */
function resolving(text: string, options: ChannelOptions = {}, proxy?: HttpProxy) {
  const clock = new ManualClock();
  const lookups: {
    readonly host: string;
    answer(addresses: string[]): Promise<void>;
    fail(error: Error): Promise<void>;
  }[] = [];
  const routers: CallRouter[] = [];
  const errors: (RpcError | undefined)[] = [];
  const pool = new SubchannelPool({ clock });
  const lookup = (host: string) =>
    new Promise<string[]>((resolve, reject) => {
      // The promise's own reactions run before what is awaited after it.
      const settled = async () => {
        await Promise.resolve();
        await Promise.resolve();
      };
      lookups.push({
        host,
        answer: (addresses) => {
          resolve(addresses);
          return settled();
        },
        fail: (error) => {
          reject(error);
          return settled();
        },
      });
    });
  const resolver = dnsResolver({ lookup, clock, random: () => 0.5 })(
    parseTarget(text, (scheme) => scheme === "dns"),
    { onRouter: (router) => routers.push(router), onError: (error) => errors.push(error) },
    {
      pool,
      credentials: insecure,
      options: { loadBalancing: "round_robin", ...options },
      authority: "test",
      proxyFor: () => proxy,
      pickerChanged: () => undefined,
    },
  );
  return { clock, lookups, routers, errors, pool, resolver, [Symbol.dispose]: () => resolver.close() };
}

test("looks a name up at once, and balances over all its addresses", async () => {
  using it = resolving("dns:///echo.test:7070");
  expect(it.lookups.map(({ host }) => host)).toEqual(["echo.test"]);
  await it.lookups[0]?.answer(["127.0.0.2", "127.0.0.3"]);
  expect([it.routers.length, it.pool.size]).toEqual([1, 2]);
});

test("takes an IP literal without a lookup", () => {
  using it = resolving("127.0.0.1:7070");
  it.resolver.resolveNow();
  expect([it.lookups.length, it.routers.length]).toEqual([0, 1]);
});

test("leaves a name to the proxy that it is reached through", () => {
  using it = resolving("echo.test:7070", {}, parseHttpProxy("http://proxy.test:3128"));
  it.resolver.resolveNow();
  expect([it.lookups.length, it.routers.length]).toEqual([0, 1]);
});

test("says why a lookup failed, and tries again with back-off", async () => {
  using it = resolving("echo.test:7070");
  for (const [index, waitMs] of [1000, 1600, 2560].entries()) {
    await it.lookups[index]?.fail(new Error("getaddrinfo ENOTFOUND echo.test"));
    expect(it.errors.at(-1)?.details).toBe('name resolution of "echo.test" failed: getaddrinfo ENOTFOUND echo.test');
    it.clock.advance(waitMs - 1);
    expect(it.lookups).toHaveLength(index + 1);
    it.clock.advance(1);
    expect(it.lookups).toHaveLength(index + 2);
  }
});

test.each([
  ["30 s", {}, 30_000],
  ["what the channel says", { minLookupIntervalMs: 1000 }, 1000],
])("hints lead to one lookup every %s at most", async (_text, options, intervalMs) => {
  using it = resolving("echo.test:7070", options);
  await it.lookups[0]?.answer(["127.0.0.2"]);
  it.resolver.resolveNow();
  it.resolver.resolveNow();
  it.clock.advance(intervalMs - 1);
  expect(it.lookups).toHaveLength(1);
  it.clock.advance(1);
  expect(it.lookups).toHaveLength(2);
});

test("a lookup that ends after close changes nothing", async () => {
  const it = resolving("echo.test:7070");
  it.resolver.close();
  await it.lookups[0]?.answer(["127.0.0.2"]);
  expect([it.routers.length, it.pool.size, it.clock.pendingMs]).toEqual([0, 0, []]);
});

test.each(["dns://8.8.8.8/echo.test", "dns:///a b", "dns:///host:99999"])("refuses %s", (text) => {
  expect(() => resolving(text)).toThrow(/^UNAVAILABLE: target/);
});
