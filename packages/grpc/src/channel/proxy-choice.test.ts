import { expect, test } from "vitest";
import { RpcError } from "../rpc/error.ts";
import type { ChannelOptions } from "./channel-options.ts";
import { proxyChoice } from "./proxy-choice.ts";
import { parseTarget } from "./target.ts";

type Environment = Readonly<Record<string, string>>;

/** The host of the proxy to a.example, for a channel to `target`. */
function chosen(env: Environment, options: ChannelOptions = {}, target = "dns:///a.example:443"): string | undefined {
  return choiceOf(env, options, target)("a.example")?.host;
}

function choiceOf(env: Environment, options: ChannelOptions, target = "a.example:443") {
  const schemes = ["dns", "ipv4", "ipv6", "unix", "xds"];
  const parsed = parseTarget(target, (scheme) => schemes.includes(scheme));
  return proxyChoice(parsed, options, env);
}

const all = { grpc_proxy: "http://grpc", https_proxy: "http://https", http_proxy: "http://http" };

test.each<[Environment, string | undefined]>([
  [{}, undefined],
  [all, "grpc"],
  [{ ...all, grpc_proxy: "" }, "https"],
  [{ http_proxy: "http://http" }, "http"],
  [{ HTTP_PROXY: "http://http", all_proxy: "http://http" }, undefined],
  [{ ...all, no_proxy: "a.example" }, undefined],
  [{ ...all, no_grpc_proxy: "b.example", no_proxy: "a.example" }, "grpc"],
  [{ ...all, no_grpc_proxy: "", no_proxy: "a.example" }, undefined],
  [{ no_proxy: "b.example" }, undefined],
])("the environment %j", (env, expected) => {
  expect(chosen(env)).toBe(expected);
});

test.each<[ChannelOptions, string | undefined]>([
  [{ proxy: "http://own" }, "own"],
  [{ proxy: false }, undefined],
  [{}, undefined],
])("the options %j, in an environment with a proxy, and without one for the host", (options, expected) => {
  expect(chosen({ ...all, no_proxy: "a.example" }, options)).toBe(expected);
});

test.each([
  ["a.example:443", "grpc"],
  ["ipv4:10.0.0.1:443", "grpc"],
  ["ipv6:[::1]:443", "grpc"],
  ["unix:/run/a.sock", undefined],
  ["xds:///a.example", undefined],
])("the environment's proxy on the way to %s is %s", (target, expected) => {
  expect(chosen(all, {}, target)).toBe(expected);
});

test("credentials are for a proxy whose URL has none, wherever it is named", () => {
  const authorizationOf = (env: Environment, options: ChannelOptions) => {
    const { authorization } = choiceOf(env, { ...options, proxyCredentials: "ada:a" })("a.example") ?? {};
    return authorization === undefined ? undefined : String(Buffer.from(authorization.slice(6), "base64"));
  };
  expect(authorizationOf(all, {})).toBe("ada:a");
  expect(authorizationOf({ grpc_proxy: "http://bob:b@grpc" }, {})).toBe("bob:b");
  expect(authorizationOf(all, { proxy: "http://own" })).toBe("ada:a");
});

test("an option that can't be meant is refused at once, without its password", () => {
  const refusal = (options: ChannelOptions, target?: string) => () => choiceOf({}, options, target);
  expect(refusal({ proxy: "https://ada:secret@proxy" })).toThrow(
    new TypeError('the channel option "proxy" is no http://host:port'),
  );
  expect(refusal({ proxy: "" })).toThrow(TypeError);
  expect(refusal({ proxy: "http://proxy" }, "xds:///a.example")).toThrow(
    'target "xds:///a.example" is reached straight',
  );
  expect(refusal({ proxy: "http://proxy" }, "unix:/run/a.sock")).toThrow(TypeError);
  expect(refusal({ proxy: false }, "xds:///a.example")).not.toThrow();
});

test.each(["https://ada:secret@proxy", "ada:secret@proxy:3128", "://"])(
  "a variable that can't be meant (%s) fails what would need it, by its name and without its value",
  (value) => {
    const choice = choiceOf({ https_proxy: value, http_proxy: "http://http", no_proxy: "b.example" }, {});
    expect(choice("b.example")).toBeUndefined();
    const failure = () => choice("a.example");
    expect(failure).toThrow(RpcError);
    expect(failure).toThrow(/^UNAVAILABLE: the environment's https_proxy is no http:\/\/host:port of a proxy/);
    expect(failure).not.toThrow(/secret|ada/);
  },
);
