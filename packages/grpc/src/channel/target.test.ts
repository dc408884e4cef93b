import { expect, test } from "vitest";
import { authorityOf } from "./authority.ts";
import { parseHostPort } from "./host-port.ts";
import { parseTarget } from "./target.ts";

const schemes = new Set(["dns", "ipv4", "ipv6", "unix", "xds"]);
const parse = (text: string) => parseTarget(text, (scheme) => schemes.has(scheme));

test.each([
  ["localhost:50051", "dns", "", "localhost:50051", "localhost:50051"],
  ["dns:localhost:50051", "dns", "", "localhost:50051", "localhost:50051"],
  ["dns:///echo.example:80", "dns", "", "echo.example:80", "echo.example:80"],
  ["dns://8.8.8.8/echo.example", "dns", "8.8.8.8", "echo.example", "echo.example"],
  ["ipv4:1.2.3.4:5,6.7.8.9:10", "ipv4", "", "1.2.3.4:5,6.7.8.9:10", "1.2.3.4:5"],
  ["ipv6:[::1]:50", "ipv6", "", "[::1]:50", "[::1]:50"],
  ["[::1]:50", "dns", "", "[::1]:50", "[::1]:50"],
  ["unix:/run/a.sock", "unix", "", "/run/a.sock", "localhost"],
  ["unix:///run/a.sock", "unix", "", "/run/a.sock", "localhost"],
  ["unix:a.sock", "unix", "", "a.sock", "localhost"],
  [
    "xds:///echo.shop.svc.cluster.local:7070",
    "xds",
    "",
    "echo.shop.svc.cluster.local:7070",
    "echo.shop.svc.cluster.local:7070",
  ],
])("target %s", (text, scheme, authority, path, callAuthority) => {
  const target = parse(text);
  expect(target).toMatchObject({ scheme, authority, path, text });
  expect(authorityOf(target)).toBe(callAuthority);
});

test("a scheme that nobody resolves is refused where it can't be a host name", () => {
  expect(() => parse("consul:///echo")).toThrow('no resolver for "consul:" is known');
  expect(() => parse("")).toThrow("empty");
});

test.each([
  ["localhost:1", { host: "localhost", port: 1 }],
  ["localhost", { host: "localhost", port: 443 }],
  ["[::1]:2", { host: "::1", port: 2 }],
  ["[::1]", { host: "::1", port: 443 }],
  ["::1", { host: "::1", port: 443 }],
  ["host:65536", undefined],
  ["host:port", undefined],
  ["a b:1", undefined],
  ["[host]:1", undefined],
  ["", undefined],
])("host and port of %j", (text, expected) => {
  expect(parseHostPort(text, 443)).toEqual(expected);
});
