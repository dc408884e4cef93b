import { expect, test } from "vitest";
import { parseHttpProxy } from "./http-proxy.ts";

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

test.each([
  ["http://proxy.example:3128", "proxy.example", 3128, undefined],
  ["http://proxy.example", "proxy.example", 80, undefined],
  ["http://[::1]:3128/", "::1", 3128, undefined],
  ["http://ada:secret@proxy.example:8080", "proxy.example", 8080, basic("ada:secret")],
  ["http://ada@proxy.example", "proxy.example", 80, basic("ada:")],
  ["http://a%40b:p%3Aw%20%C3%BC@proxy.example", "proxy.example", 80, basic("a@b:p:w ü")],
])("the proxy %s", (url, host, port, authorization) => {
  expect(parseHttpProxy(url)).toEqual({ host, port, authorization });
});

test.each([
  "",
  "proxy.example:3128",
  "ada:secret@proxy.example:3128",
  "https://proxy.example",
  "socks5://proxy.example",
  "http://",
  "http://proxy.example:99999",
  "http://ada:100%@proxy.example",
])("%j is no proxy", (url) => {
  expect(parseHttpProxy(url)).toBeUndefined();
});

test("credentials beside a URL are for one that has none", () => {
  expect(parseHttpProxy("http://proxy.example", "bob:b")?.authorization).toBe(basic("bob:b"));
  expect(parseHttpProxy("http://ada:a@proxy.example", "bob:b")?.authorization).toBe(basic("ada:a"));
});
