import { createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { insecure } from "../identity/credentials.ts";
import type { Address } from "./address.ts";
import { largestAnswerBytes } from "./connect-answer.ts";
import { parseHttpProxy } from "./http-proxy.ts";
import { Subchannel } from "./subchannel.ts";
import { closedPort } from "./testing/closed-port.ts";
import { ManualClock } from "./testing/manual-clock.ts";
import { reached } from "./testing/states.ts";

const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** A subchannel to a.example:443 through a proxy at `port`, which connects. */
function connecting(port: number, host = "a.example") {
  const proxy = parseHttpProxy(`http://ada:secret@127.0.0.1:${port}`);
  const address: Address = { kind: "tcp", host, port: 443, proxy };
  const clock = new ManualClock();
  const options = { credentials: insecure, connectTimeoutMs: 5000 };
  const subchannel = new Subchannel(address, options, { clock, random: () => 0.5 });
  subchannel.connect();
  return { clock, subchannel, [Symbol.asyncDispose]: () => subchannel.close() };
}

/** A proxy that does with its connection what the test says; `closed` once that is over. */
async function scripted(onSocket: (socket: Socket) => void) {
  const closed = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    socket.on("error", () => undefined).on("close", () => closed.resolve());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a TCP server");
  return { port: address.port, closed: closed.promise, [Symbol.asyncDispose]: async () => void server.close() };
}

async function failureOf(subchannel: Subchannel): Promise<string | undefined> {
  await reached(subchannel, "TRANSIENT_FAILURE");
  expect(subchannel.lastError?.code).toBe("UNAVAILABLE");
  return subchannel.lastError?.details;
}

test.each([
  ["HTTP/1.1 403 Forbidden\r\n\r\n<html>", "refused CONNECT to a.example:443: 403 Forbidden"],
  ["SSH-2.0-OpenSSH_9.9\r\n", 'answered CONNECT to a.example:443 with what is no HTTP: "SSH-2.0-OpenSSH_9.9"'],
  [
    `HTTP/1.1 200 OK\r\nX: ${"y".repeat(10 * largestAnswerBytes)}`,
    `answered CONNECT to a.example:443 with more than ${largestAnswerBytes} bytes before a blank line`,
  ],
])("a proxy that doesn't connect is named with what it said (%#)", async (answer, expected) => {
  await using proxy = await scripted((socket) => socket.once("data", () => socket.write(answer)).resume());
  await using it = connecting(proxy.port);
  expect(await failureOf(it.subchannel)).toBe(`proxy 127.0.0.1:${proxy.port} ${expected}`);
  await proxy.closed;
});

test("a proxy that hangs up without an answer is named", async () => {
  await using proxy = await scripted((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n")));
  await using it = connecting(proxy.port);
  const expected = `proxy 127.0.0.1:${proxy.port} closed the connection at CONNECT to a.example:443`;
  expect(await failureOf(it.subchannel)).toBe(expected);
});

test("a proxy that nobody is at is named", async () => {
  const port = await closedPort();
  await using it = connecting(port);
  const expected = `connection to a.example:443 through proxy 127.0.0.1:${port} failed: connect ECONNREFUSED 127.0.0.1:${port}`;
  expect(await failureOf(it.subchannel)).toBe(expected);
});

test("a proxy that says nothing is given up with its socket after the connect time-out", async () => {
  const asked = Promise.withResolvers<void>();
  await using proxy = await scripted((socket) => socket.once("data", () => asked.resolve()).resume());
  await using it = connecting(proxy.port);
  await asked.promise;
  const failure = failureOf(it.subchannel);
  it.clock.advance(5000);
  const expected = `connection to a.example:443 through proxy 127.0.0.1:${proxy.port} failed: no answer within 5000 ms`;
  expect(await failure).toBe(expected);
  await proxy.closed;
});

test("closing during CONNECT takes the socket away", async () => {
  const asked = Promise.withResolvers<void>();
  await using proxy = await scripted((socket) => socket.once("data", () => asked.resolve()).resume());
  await using it = connecting(proxy.port);
  await asked.promise;
  await it.subchannel.close();
  await proxy.closed;
});

test("what the peer said together with the proxy's answer is not lost", async () => {
  const answer = Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), settings]);
  await using proxy = await scripted((socket) => socket.once("data", () => socket.write(answer)).resume());
  await using it = connecting(proxy.port);
  await reached(it.subchannel, "READY");
});

test("an answer byte by byte is an answer", async () => {
  await using proxy = await scripted((socket) => {
    socket.setNoDelay(true).once("data", async () => {
      for (const byte of Buffer.concat([Buffer.from("HTTP/1.1 200 OK\r\n\r\n"), settings])) {
        await new Promise((written) => socket.write(Buffer.of(byte), written));
      }
    });
  });
  await using it = connecting(proxy.port);
  await reached(it.subchannel, "READY");
});

test("CONNECT names the peer, and who asks", async () => {
  const asked = Promise.withResolvers<string>();
  await using proxy = await scripted((socket) => socket.once("data", (bytes) => asked.resolve(String(bytes))));
  await using _ = connecting(proxy.port, "2001:db8::1");
  const credentials = Buffer.from("ada:secret").toString("base64");
  expect(await asked.promise).toBe(
    `CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\nProxy-Authorization: Basic ${credentials}\r\n\r\n`,
  );
});

test("a proxy is not asked for a name that isn't ASCII", async () => {
  await using proxy = await scripted((socket) => socket.resume());
  await using it = connecting(proxy.port, "bücher.example");
  expect(await failureOf(it.subchannel)).toContain("write bücher.example:443 in its xn-- form");
});
