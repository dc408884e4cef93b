import type { Socket } from "node:net";
import { hostPortText } from "./address.ts";
import { type ConnectAnswer, largestAnswerBytes, readConnectAnswer } from "./connect-answer.ts";
import type { HttpProxy } from "./http-proxy.ts";

const asciiOnly = /^[\x21-\x7e]+$/;

/**
 * Has `proxy`, which `socket` is connected to, connect to `peer` (`host:port`). From then on what is written to the socket
 * and read from it is the peer's; what came of it already is unread.
 *
 * Rejects with what the proxy said, or with the reason of `signal`, which also bounds the time; the socket is destroyed.
 */
export function openTunnel(socket: Socket, proxy: HttpProxy, peer: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const received = () => {
      for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
        bytes = Buffer.concat([bytes, chunk]);
        const answer = readConnectAnswer(bytes);
        if (answer.kind === "incomplete") continue;
        if (answer.kind === "connected") accept(answer.rest);
        else failed(new Error(refusal(answer, proxy, peer)));
        return;
      }
    };
    const accept = (rest: Buffer) => {
      stop();
      // With no listener left the socket neither flows nor stands still: the next one gets what it holds.
      if (rest.length > 0) socket.unshift(rest);
      resolve();
    };
    const failed = (error: unknown) => {
      stop();
      // It may fail once more on its way out, with nobody left to hear.
      socket.on("error", () => undefined).destroy();
      reject(error);
    };
    const aborted = () => failed(signal.reason);
    const closed = () => failed(new Error(`proxy ${hostPortText(proxy)} closed the connection at CONNECT to ${peer}`));
    const stop = () => {
      socket.off("readable", received).off("error", failed).off("end", closed).off("close", closed);
      signal.removeEventListener("abort", aborted);
    };
    signal.addEventListener("abort", aborted, { once: true });
    if (signal.aborted) return aborted();
    if (!asciiOnly.test(peer)) return failed(new Error(`a proxy is asked in ASCII: write ${peer} in its xn-- form`));
    socket.on("error", failed).on("end", closed).on("close", closed).on("readable", received);
    socket.write(connectRequest(proxy, peer));
  });
}

function connectRequest({ authorization }: HttpProxy, peer: string): string {
  const credentials = authorization === undefined ? "" : `Proxy-Authorization: ${authorization}\r\n`;
  return `CONNECT ${peer} HTTP/1.1\r\nHost: ${peer}\r\n${credentials}\r\n`;
}

function refusal(
  answer: Exclude<ConnectAnswer, { kind: "incomplete" | "connected" }>,
  proxy: HttpProxy,
  peer: string,
): string {
  const name = `proxy ${hostPortText(proxy)}`;
  switch (answer.kind) {
    case "refused":
      return `${name} refused CONNECT to ${peer}: ${answer.status}`;
    case "too-long":
      return `${name} answered CONNECT to ${peer} with more than ${largestAnswerBytes} bytes before a blank line`;
    case "no-http":
      return `${name} answered CONNECT to ${peer} with what is no HTTP: ${JSON.stringify(answer.beginning)}`;
  }
}
