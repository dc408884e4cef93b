import fc from "fast-check";
import { expect, test } from "vitest";
import { type ConnectAnswer, largestAnswerBytes, readConnectAnswer } from "./connect-answer.ts";

const read = (text: string) => readConnectAnswer(Buffer.from(text, "latin1"));
const connected = (rest: string): ConnectAnswer => ({ kind: "connected", rest: Buffer.from(rest) });
const refused = (status: string): ConnectAnswer => ({ kind: "refused", status });
const noHttp = (beginning: string): ConnectAnswer => ({ kind: "no-http", beginning });

test.each<[string, ConnectAnswer]>([
  ["HTTP/1.1 200 Connection established\r\n\r\n", connected("")],
  ["HTTP/1.0 200\r\nVia: 1.0 proxy\r\nContent-Length: 5\r\n\r\nPRI *", connected("PRI *")],
  ["HTTP/1.1 204 \r\n\r\n\r\n\r\n", connected("\r\n\r\n")],
  ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx", connected("x")],
  ["HTTP/1.1 407 Proxy Authentication Required\r\n\r\n<html>", refused("407 Proxy Authentication Required")],
  ["HTTP/1.1 302\r\nLocation: /login\r\n\r\n", refused("302")],
  ["HTTP/1.1 101 Switching Protocols\r\n\r\n", refused("101 Switching Protocols")],
  ["HTTP/1.1 500 \x1b[31mno\x00\r\n\r\n", refused("500 ?[31mno?")],
  ["", { kind: "incomplete" }],
  ["HTT", { kind: "incomplete" }],
  ["HTTP/1.1 200 OK\r\nVia: 1.1 proxy\r\n\r", { kind: "incomplete" }],
  ["HTTP/1.1 100 Continue\r\n\r\n", { kind: "incomplete" }],
  ["SSH-2.0-OpenSSH_9.9\r\n", noHttp("SSH-2.0-OpenSSH_9.9")],
  ["\x15\x03\x01", noHttp("???")],
  ["HTTP/2 200\r\n", noHttp("HTTP/2 200")],
  ["HTTP/1.1 20 OK\r\n", noHttp("HTTP/1.1 20 OK")],
  ["HTTP/1.1 200 OK\n", noHttp("HTTP/1.1 200 OK")],
  ["HTTP/1.1 100 Continue\r\n\r\nwhat", noHttp("what")],
])("the answer %j", (text, expected) => {
  expect(read(text)).toEqual(expected);
});

test.each([
  ["without an end", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(largestAnswerBytes / 6)}`],
  ["of one line", `HTTP/1.1 200 ${"x".repeat(largestAnswerBytes)}`],
  ["with an end that is too late", `HTTP/1.1 200 OK\r\nX: ${"y".repeat(largestAnswerBytes)}\r\n\r\n`],
  ["of many that are none", "HTTP/1.1 100 Continue\r\n\r\n".repeat(largestAnswerBytes / 20)],
])("an answer %s is too long", (_what, text) => {
  expect(read(text)).toEqual({ kind: "too-long" });
});

test("whatever follows an answer is left as it is, however large", () => {
  const rest = "x".repeat(10 * largestAnswerBytes);
  expect(read(`HTTP/1.1 200 OK\r\n\r\n${rest}`)).toEqual(connected(rest));
});

test("an answer that comes in pieces says the same as in one, and nothing before", () => {
  const head = fc.constantFrom("HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 403 No\r\nA: b\r\n\r\n");
  fc.assert(
    fc.property(head, fc.nat(), (text, at) => {
      expect(read(text.slice(0, at % text.length))).toEqual({ kind: "incomplete" });
      expect(read(text).kind).toMatch(/connected|refused/);
    }),
  );
});
