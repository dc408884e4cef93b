import { isIPv4, isIPv6, Socket } from "node:net";
import type { Address } from "@weft/xds-api/grpc/channelz/v1/channelz";
import { parseListenAddress } from "../server/listen-address.ts";

/** The two ends of `socket`; undefined for what has no address, such as a unix socket that was accepted. */
export function socketEnds(socket: object): {
  readonly local: Address | undefined;
  readonly remote: Address | undefined;
} {
  if (!(socket instanceof Socket)) return { local: undefined, remote: undefined };
  return {
    local: ipAddress(socket.localAddress, socket.localPort),
    remote: ipAddress(socket.remoteAddress, socket.remotePort),
  };
}

/** A server's `host:port` or `unix:/path`. */
export function listenAddress(text: string): Address {
  const address = parseListenAddress(text);
  if (address.kind === "unix") return unixAddress(address.path);
  return (
    ipAddress(address.host, address.port) ?? {
      address: { $case: "otherAddress", value: { name: text, value: undefined } },
    }
  );
}

export function unixAddress(filename: string): Address {
  return { address: { $case: "udsAddress", value: { filename } } };
}

function ipAddress(host: string | undefined, port: number | undefined): Address | undefined {
  const bytes = host === undefined ? undefined : ipBytes(host);
  if (bytes === undefined) return undefined;
  return { address: { $case: "tcpipAddress", value: { ipAddress: bytes, port: port ?? -1 } } };
}

/** The 4 or 16 bytes of an IP address as it is written; undefined for anything else. */
export function ipBytes(host: string): Uint8Array | undefined {
  if (isIPv4(host)) return Uint8Array.from(host.split("."), Number);
  if (!isIPv6(host)) return undefined;
  const [address = ""] = host.split("%");
  const [before = "", after] = address.split("::");
  const head = groups(before);
  const tail = after === undefined ? [] : groups(after);
  return Uint8Array.from([...head, ...new Array<number>(16 - head.length - tail.length).fill(0), ...tail]);
}

function groups(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >>> 8, value & 0xff];
  });
}
