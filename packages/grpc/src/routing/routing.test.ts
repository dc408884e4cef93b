import { describe, expect, test } from "vitest";
import type { RouteActionConfig, RouteConfig, RouteMatch, VirtualHostConfig } from "./route-config.ts";
import { compileRouteTable } from "./route-table.ts";
import { chooseVirtualHost, isDomainPattern } from "./virtual-host.ts";

const host = (name: string, domains: string[], routes: RouteConfig[] = []): VirtualHostConfig => ({
  name,
  domains,
  routes,
});
const to = (...clusters: (string | [string, number])[]): RouteActionConfig => ({
  kind: "forward",
  clusters: clusters.map((c) => (typeof c === "string" ? { name: c, weight: 1 } : { name: c[0], weight: c[1] })),
});
const prefix = (value: string, more: Partial<RouteMatch> = {}): RouteMatch => ({
  path: { kind: "prefix", value, ignoreCase: false },
  headers: [],
  ...more,
});
const route = (match: RouteMatch, action: RouteActionConfig, name = ""): RouteConfig => ({ name, match, action });
const none = { getAll: () => [] };

/** A table whose targets are texts: `cluster@timeout` or `!reason`. */
function table(routes: RouteConfig[], defaultTimeoutMs = 0) {
  return compileRouteTable(
    host("test", ["*"], routes),
    { cluster: (name, timeoutMs) => `${name}@${timeoutMs}`, failure: (reason) => `!${reason}` },
    defaultTimeoutMs,
  );
}

describe("the choice of a virtual host", () => {
  const hosts = [
    host("all", ["*"]),
    host("prefix", ["echo.*"]),
    host("suffix", ["*.local"]),
    host("exact", ["echo.local"]),
  ];

  test("prefers exact, then suffix, then prefix, then *", () => {
    const chosen = ["ECHO.local", "x.local", "echo.com", "other"].map((name) => chooseVirtualHost(hosts, name)?.name);
    expect(chosen).toEqual(["exact", "suffix", "prefix", "all"]);
  });

  test("prefers the longer pattern of one kind", () => {
    const both = [host("short", ["*.local"]), host("long", ["*.svc.local"])];
    expect(chooseVirtualHost(both, "a.svc.local")?.name).toBe("long");
  });

  test("takes the first host listed on a tie", () => {
    expect(chooseVirtualHost([host("first", ["a"]), host("second", ["A"])], "a")?.name).toBe("first");
  });

  test("may find none", () => {
    expect(chooseVirtualHost([host("other", ["b", "*.c"])], "a")).toBeUndefined();
    expect(chooseVirtualHost([host("other", ["*.c"])], ".c")).toBeUndefined();
  });

  test("reads one * at one end as a pattern and nothing else", () => {
    expect(["a", "*", "*.a", "a.*"].every(isDomainPattern)).toBe(true);
    expect(["", "a.*.b", "*.*", "**"].some(isDomainPattern)).toBe(false);
  });
});

describe("a route table", () => {
  test("lets the first matching route decide", () => {
    const routes = table([route(prefix("/a"), to("a")), route(prefix("/"), to("rest")), route(prefix("/b"), to("b"))]);
    expect(routes.route("/a.A/M", none, Math.random)).toBe("a@0");
    expect(routes.route("/b.B/M", none, Math.random)).toBe("rest@0");
  });

  test("says that nothing matched", () => {
    expect(table([route(prefix("/a"), to("a"))]).route("/b.B/M", none, Math.random)).toMatch(/no route .*"test"/);
  });

  test("asks for every header of a route", () => {
    const headers = ["x-a", "x-b"].map((name) => ({
      name,
      invert: false,
      test: { kind: "present", present: true } as const,
    }));
    const routes = table([route(prefix("/", { headers }), to("both")), route(prefix("/"), to("rest"))]);
    expect(routes.route("/s/m", { getAll: () => ["1"] }, Math.random)).toBe("both@0");
    expect(routes.route("/s/m", { getAll: (name: string) => (name === "x-a" ? ["1"] : []) }, Math.random)).toBe(
      "rest@0",
    );
  });

  test("gives a route its fraction of the calls", () => {
    const routes = table([route(prefix("/", { perMillion: 250_000 }), to("some")), route(prefix("/"), to("rest"))]);
    expect(routes.route("/s/m", none, () => 0.2499)).toBe("some@0");
    expect(routes.route("/s/m", none, () => 0.25)).toBe("rest@0");
  });

  test("splits by weight", () => {
    const routes = table([route(prefix("/"), to(["v1", 20], ["v2", 80]))]);
    const drawn = [0, 0.1999, 0.2, 0.9999].map((value) => routes.route("/s/m", none, () => value));
    expect(drawn).toEqual(["v1@0", "v1@0", "v2@0", "v2@0"]);
  });

  test("draws no random number where there is nothing to draw", () => {
    const routes = table([route(prefix("/"), to("only"))]);
    expect(() =>
      routes.route("/s/m", none, () => {
        throw new Error("drawn");
      }),
    ).not.toThrow();
  });

  test("uses the listener's time limit where a route has none, and 0 as no limit", () => {
    const action = to("a");
    if (action.kind !== "forward") throw new Error("unreachable");
    const routes = table([route(prefix("/none"), { ...action, timeoutMs: 0 }), route(prefix("/"), action)], 5_000);
    expect(routes.route("/none/m", none, Math.random)).toBe("a@0");
    expect(routes.route("/s/m", none, Math.random)).toBe("a@5000");
  });

  test("fails calls that take an action no client can follow, and says which", () => {
    const routes = table([
      route(prefix("/r"), { kind: "unsupported", what: "redirect" }, "old"),
      route(prefix("/"), { kind: "nonForwarding" }),
    ]);
    expect(routes.route("/r/m", none, Math.random)).toMatch(/"old".*redirect/);
    expect(routes.route("/s/m", none, Math.random)).toMatch(/non_forwarding_action/);
  });
});
